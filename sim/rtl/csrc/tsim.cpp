// The machine: the Verilated core, its memory and its host, clock by clock.
#include "tsim.h"

#include <ctime>
#include <memory>
#include <string>

#include "Vvta_core.h"
#include "activity.h"
#include "axi_lite.h"
#include "axi_memory.h"
#include "recording.h"
#include "stalls.h"
#include "verilated.h"
#include "window.h"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif

struct Tsim {
    Tsim(const TsimTiming& timing, const char* trace, bool windowed)
        : core(&context), memory(core, timing), host(core) {
#if VM_TRACE
        if (trace) {
            context.traceEverOn(true);
            window.enable(windowed);
            core.trace(&waves, 99);
            waves.open(trace);
        }
#else
        (void)trace;
        (void)windowed;
#endif
        core.rst = 1;
        for (int i = 0; i < RESET_CYCLES; ++i) cycle();
        core.rst = 0;
    }

    ~Tsim() {
#if VM_TRACE
        waves.close();
#endif
        core.final();
    }

    void edge(bool level) {
        core.clk = level;
        core.eval();
#if VM_TRACE
        if (!level) shown = waves.isOpen() && window.shows(core);
        if (shown) waves.dump(HALF_PERIOD * (2 * now + level));
#endif
    }

    void cycle() {
        host.drive();
        memory.drive(now);
        recording.capture(core);
        edge(false);
        memory.sample(now);
        host.sample();
        stalls.sample(core);
        activity.sample(core, now);
        edge(true);
        ++now;
    }

    void access(const char* what, uint32_t offset) {
        for (int patience = HOST_PATIENCE; host.busy(); --patience) {
            if (!patience)
                broken(now, "NO_ANSWER", "the %s of register 0x%03x got no response", what, offset);
            cycle();
        }
        if (!host.okay())
            broken(now, "LITE_RESPONSE", "the %s of register 0x%03x got an error", what, offset);
    }

    void write(uint32_t offset, uint32_t value) {
        host.start_write(offset, value);
        access("write", offset);
    }

    uint32_t read(uint32_t offset) {
        host.start_read(offset);
        access("read", offset);
        return host.data();
    }

    void start(uint64_t insn_addr, uint32_t insn_count) {
        started_at = now;
        activity.begin();
        write(VTA_REG_INSN_COUNT, insn_count);
        write(VTA_REG_INSN_ADDR, static_cast<uint32_t>(insn_addr));
        write(VTA_REG_INSN_ADDR_HI, static_cast<uint32_t>(insn_addr >> 32));
        write(VTA_REG_CONTROL, VTA_CONTROL_LAUNCH);
    }

    TsimState advance(uint64_t cycles) {
        const uint64_t limit = now + cycles;
        while (!core.irq && now < limit) cycle();
        if (!core.irq) return TSIM_RUNNING;
        memory.check_quiet(now);
        return TSIM_DONE;
    }

    void finish(TsimReport& report) {
        for (int i = 0; i < TSIM_REGISTERS; ++i) report.registers[i] = read(READABLE[i]);
        if (core.irq) write(VTA_REG_STATUS, VTA_STATUS_DONE);
        report.cycles = now - started_at;
        memory.report(report);
#if VM_TRACE
        if (waves.isOpen()) waves.flush();
#endif
    }

    // Run `step`; what it throws becomes the state BROKEN and a message.
    template <typename Step>
    int32_t guarded(Step step) {
        if (!message.empty()) return TSIM_BROKEN;
        try {
            return step();
        } catch (const RuleBroken& error) {
            message = error.what();
            return TSIM_BROKEN;
        }
    }

    static constexpr int RESET_CYCLES = 4;
    static constexpr int HOST_PATIENCE = 10000;
    static constexpr uint64_t HALF_PERIOD = 5000;  // ps: the waves show a clock of 100 MHz

    VerilatedContext context;
    Vvta_core core;
    AxiMemory memory;
    AxiLite host;
    Recording recording;
    Stalls stalls;
    Activity activity;
#if VM_TRACE
    VerilatedFstC waves;
    Window window;
    bool shown = false;  // the waves of this cycle are written
#endif
    uint64_t now = 0, started_at = 0;
    std::string message;
};

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT Tsim* tsim_new(const TsimTiming* timing, const char* trace, int32_t windowed) {
    return new Tsim(*timing, trace, windowed != 0);
}

EXPORT void tsim_delete(Tsim* machine) { delete machine; }

EXPORT int32_t tsim_start(Tsim* machine, const TsimRegion* regions, uint32_t count,
                          const TsimInjection* injection, uint64_t seed, uint64_t insn_addr,
                          uint32_t insn_count) {
    return machine->guarded([&] {
        machine->memory.map(regions, count, *injection, seed);
        machine->start(insn_addr, insn_count);
        return TSIM_RUNNING;
    });
}

EXPORT int32_t tsim_advance(Tsim* machine, uint64_t cycles) {
    return machine->guarded([&] { return machine->advance(cycles); });
}

EXPORT int32_t tsim_finish(Tsim* machine, TsimReport* report) {
    return machine->guarded([&] {
        machine->finish(*report);
        return TSIM_DONE;
    });
}

EXPORT int32_t tsim_map(Tsim* machine, const TsimRegion* regions, uint32_t count,
                        const TsimInjection* injection, uint64_t seed) {
    return machine->guarded([&] {
        machine->memory.map(regions, count, *injection, seed);
        return TSIM_RUNNING;
    });
}

EXPORT int32_t tsim_write(Tsim* machine, uint32_t offset, uint32_t value) {
    return machine->guarded([&] {
        machine->write(offset, value);
        return TSIM_RUNNING;
    });
}

EXPORT int32_t tsim_read(Tsim* machine, uint32_t offset, uint32_t* value) {
    return machine->guarded([&] {
        *value = machine->read(offset);
        return TSIM_RUNNING;
    });
}

EXPORT int32_t tsim_step(Tsim* machine, uint64_t cycles) {
    return machine->guarded([&] {
        for (const uint64_t end = machine->now + cycles; machine->now < end;) machine->cycle();
        return TSIM_RUNNING;
    });
}

EXPORT const char* tsim_message(const Tsim* machine) { return machine->message.c_str(); }

EXPORT void tsim_stalls(const Tsim* machine, uint64_t* counts) { machine->stalls.report(counts); }

EXPORT uint64_t tsim_activity(const Tsim* machine, const uint64_t** words) {
    *words = machine->activity.data();
    return machine->activity.words();
}

EXPORT uint64_t tsim_bursts(const Tsim* machine, const TsimBurst** bursts) {
    *bursts = machine->memory.bursts().data();
    return machine->memory.bursts().size();
}

EXPORT void tsim_window(Tsim* machine, const TsimWindow* window) {
#if VM_TRACE
    machine->window.set(*window);
#else
    (void)machine;
    (void)window;
#endif
}

EXPORT void tsim_record(Tsim* machine, int32_t on) { machine->recording.on = on != 0; }

EXPORT double tsim_replay(Tsim* machine, const Tsim* recorded, uint64_t* cycles) {
    const std::clock_t begin = std::clock();
    recorded->recording.replay(machine->core);
    *cycles = recorded->recording.size();
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}
