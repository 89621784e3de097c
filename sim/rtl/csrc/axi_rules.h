// What an AXI4 master must keep to (and what this project's contract adds: INCR bursts of whole
// beats, known IDs). Each rule has a name; breaking one ends the run.
#pragma once

#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include "machine.h"

struct RuleBroken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

[[noreturn, gnu::format(printf, 3, 4)]] inline void broken(uint64_t cycle, const std::string& rule,
                                                           const char* format, ...) {
    char detail[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    throw RuleBroken("cycle " + std::to_string(cycle) + ": " + rule + ": " + detail);
}

// The payload of AR or AW.
struct AddressBeat {
    uint64_t addr;
    uint8_t id, len, size, burst, cache, prot;

    bool operator==(const AddressBeat& other) const {
        return addr == other.addr && id == other.id && len == other.len && size == other.size &&
               burst == other.burst && cache == other.cache && prot == other.prot;
    }
};

// The payload of W.
struct WriteBeat {
    uint8_t data[BUS_BYTES];
    uint64_t strobe;
    bool last;

    bool operator==(const WriteBeat& other) const {
        return strobe == other.strobe && last == other.last &&
               !std::memcmp(data, other.data, BUS_BYTES);
    }
};

// VALID stays, and the payload does not move, until READY.
template <typename Payload>
class Handshake {
public:
    explicit Handshake(const char* channel) : channel_(channel) {}

    // True if the payload passes in this cycle. `payload()` is only called while VALID is high.
    template <typename Read>
    bool passes(uint64_t cycle, bool valid, bool ready, Payload& payload, Read read) {
        if (!valid) {
            if (stalled_)
                broken(cycle, channel_ + "_DROPPED", "VALID went low before READY was high");
            return false;
        }
        read(payload);
        if (stalled_ && !(payload == held_))
            broken(cycle, channel_ + "_UNSTABLE",
                   "the payload changed while VALID was high and READY low");
        stalled_ = !ready;
        if (stalled_) held_ = payload;
        return ready;
    }

    bool stalled() const { return stalled_; }

private:
    std::string channel_;
    Payload held_{};
    bool stalled_ = false;
};

inline void check_address(uint64_t cycle, const std::string& channel, const AddressBeat& beat,
                          uint32_t allowed_ids) {
    constexpr uint64_t PAGE = 4096;
    constexpr uint8_t INCR = 1;
    const uint64_t bytes = (uint64_t{beat.len} + 1) * BUS_BYTES;
    if (beat.burst != INCR)
        broken(cycle, channel + "_BURST", "burst type %u; must be INCR (1)", beat.burst);
    if ((1u << beat.size) != BUS_BYTES)
        broken(cycle, channel + "_SIZE", "beats of 2^%u bytes; must be whole beats of %u",
               beat.size, BUS_BYTES);
    if (beat.addr % BUS_BYTES)
        broken(cycle, channel + "_ALIGNMENT", "address 0x%" PRIx64 " is not a multiple of %u",
               beat.addr, BUS_BYTES);
    if (beat.addr % PAGE + bytes > PAGE)
        broken(cycle, channel + "_4K", "%u beats from 0x%" PRIx64 " cross a 4 KiB boundary",
               beat.len + 1u, beat.addr);
    if (!(allowed_ids >> beat.id & 1)) broken(cycle, channel + "_ID", "ID %u is nobody's", beat.id);
}
