// The changes of the output `activity` of an active core: in each cycle in which its value differs
// from that of the cycle before, the cycle and the value. A plain core has no such output.
#pragma once

#include <cstdint>
#include <vector>

#include "Vvta_core.h"
#include "machine.h"

class Activity {
public:
    void begin() { changes_.clear(); }

    void sample(const Vvta_core& core, uint64_t cycle) {
#if TSIM_ACTIVITY
        static_assert(TSIM_ACTIVITY <= 64, "a value is one 64-bit word");
        const uint64_t value = core.activity;
        if (!changes_.empty() && changes_.back() == value) return;
        changes_.push_back(cycle);
        changes_.push_back(value);
#else
        (void)core;
        (void)cycle;
#endif
    }

    // Words: a cycle, a value, a cycle, a value, ...
    uint64_t words() const { return changes_.size(); }
    const uint64_t* data() const { return changes_.data(); }

private:
    std::vector<uint64_t> changes_;
};
