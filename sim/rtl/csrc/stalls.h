// In how many cycles each bit of the output `stalls` of an observed core was high. A plain core has
// no such output.
#pragma once

#include <cstdint>
#include <type_traits>

#include "Vvta_core.h"
#include "machine.h"

class Stalls {
public:
    void sample(const Vvta_core& core) {
#if TSIM_STALLS
        for (int i = 0; i < TSIM_STALLS; ++i) counts_[i] += bit(core.stalls, i);
#else
        (void)core;
#endif
    }

    void report(uint64_t* counts) const {
        for (int i = 0; i < TSIM_STALLS; ++i) counts[i] = counts_[i];
    }

private:
    // Verilator keeps up to 64 bits in an integer, more in an array of words.
    template <typename Bits>
    static bool bit(const Bits& bits, int i) {
        if constexpr (std::is_integral_v<Bits>)
            return bits >> i & 1;
        else
            return bits[i / 32] >> (i % 32) & 1;
    }

    uint64_t counts_[TSIM_STALLS + 1] = {};
};
