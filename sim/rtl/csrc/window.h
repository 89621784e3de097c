// The part of a run whose waves are written: from the dispatch of an instruction to the retirement of
// the last instructions of a range, counted at the output `activity` of an active core.
#pragma once

#include <cstdint>

#include "Vvta_core.h"
#include "machine.h"
#include "tsim.h"

class Window {
public:
    // Whether waves are written in windows only; otherwise they are in all cycles.
    void enable(bool on) { enabled_ = on; }

    // The window of the next run.
    void set(const TsimWindow& window) {
        window_ = window;
        for (int i = 0; i < TSIM_WINDOW_ENDS; ++i) left_[i] = window.ends[i].pulses;
        to_begin_ = window.begin.pulses;
        after_ = 1 + AFTER;
    }

    // Whether the waves of this cycle are written; once a cycle, when its signals have settled.
    bool shows(const Vvta_core& core) {
#if TSIM_ACTIVITY
        if (!enabled_) return true;
        const uint64_t value = core.activity;
        if (to_begin_ && (value >> window_.begin.probe & 1)) --to_begin_;
        bool ended = true;
        for (int i = 0; i < TSIM_WINDOW_ENDS; ++i) {
            if (left_[i] && (value >> window_.ends[i].probe & 1)) --left_[i];
            ended = ended && !left_[i];
        }
        if (to_begin_) return false;
        return !ended || after_-- > 0;
#else
        (void)core;
        return true;
#endif
    }

private:
    static constexpr int AFTER = 4;  // cycles behind the last retirement
    TsimWindow window_{};
    uint64_t to_begin_ = 0, left_[TSIM_WINDOW_ENDS] = {};
    int after_ = 0;
    bool enabled_ = false;
};
