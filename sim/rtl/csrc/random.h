// Seeded randomness for stalls: the same sequence on every host.
#pragma once

#include <cstdint>

class Random {
public:
    void seed(uint64_t seed) { state_ = seed * 0x9E3779B97F4A7C15u + 0xD1B54A32D192ED03u; }

    uint32_t next() {  // splitmix64, upper half
        uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return static_cast<uint32_t>((z ^ (z >> 31)) >> 32);
    }

    // One of 0 .. bound-1, bound > 0.
    uint32_t below(uint32_t bound) {
        return static_cast<uint32_t>((uint64_t{next()} * bound) >> 32);
    }

private:
    uint64_t state_ = 0;
};

// True with a fixed probability; costs nothing where that is 0.
class Chance {
public:
    explicit Chance(double probability)
        : threshold_(static_cast<uint64_t>(probability * 4294967296.0)) {}
    bool operator()(Random& random) const { return threshold_ && random.next() < threshold_; }

private:
    uint64_t threshold_;
};

// Cycles in which a data beat may pass: in every window of WINDOW cycles exactly the given share,
// at random places.
class Slots {
public:
    explicit Slots(double rate) : open_each_(static_cast<uint32_t>(rate * WINDOW + 0.5)) {}

    bool next(Random& random) {
        if (open_each_ >= WINDOW) return true;
        if (left_ == 0) {
            left_ = WINDOW;
            open_ = open_each_;
        }
        const bool open = random.below(left_) < open_;
        --left_;
        open_ -= open;
        return open;
    }

    void restart() { left_ = open_ = 0; }

    static constexpr uint32_t WINDOW = 20;

private:
    uint32_t open_each_;
    uint32_t left_ = 0, open_ = 0;
};
