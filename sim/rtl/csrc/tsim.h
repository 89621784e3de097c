// The C interface of the simulated machine: everything that crosses between Python and C++
// (vta/sim/harness.py mirrors these structures). Python calls a few functions for each run, never
// one for each cycle; only a driver that is tried on the machine calls one for each register access.
#pragma once

#include <cstdint>

#include "machine.h"  // written from vta.config and vta.memmap for each build

extern "C" {

// A range of physical addresses that answers. Accesses outside every region are answered with
// DECERR.
struct TsimRegion {
    uint64_t base;      // first byte address
    uint64_t size;      // bytes
    uint8_t* data;      // `size` bytes that live as long as the run
    uint32_t read_ids;  // bit i: the read ID i may read here
    uint32_t writable;  // 1: the write port may write here
};

// How the memory behaves (meaning of each member: vta/sim/timing.py).
struct TsimTiming {
    uint32_t read_latency;
    uint32_t write_latency;
    uint32_t outstanding_reads;
    uint32_t outstanding_writes;
    uint32_t shared_bus;
    uint32_t reorder;
    double beat_rate;
    double stall_ar, stall_r, stall_aw, stall_w, stall_b;
};

// SLVERR on purpose: on one read beat, one write burst (both counted from 0 in each run), a range
// of addresses.
struct TsimInjection {
    uint64_t read_beat;    // NEVER: none
    uint64_t write_burst;  // NEVER: none
    uint64_t low, high;    // addresses low <= a < high
};

// Pulses of one bit of the output `activity` of an active core.
struct TsimPulses {
    uint32_t probe;   // the bit
    uint32_t pulses;  // how many
};

// A burst of the memory port. Cycles: the address, the first and the last beat of data, and the
// response of a write (of a read: its last beat).
struct TsimBurst {
    uint64_t addr, requested, first, last, response;
    uint32_t beats;
    uint8_t id, write;
};

// The waves that are written of a run: from the cycle in which `begin` is complete to that in which all
// `ends` are, and a few cycles more.
enum { TSIM_WINDOW_ENDS = 3 };
struct TsimWindow {
    TsimPulses begin;
    TsimPulses ends[TSIM_WINDOW_ENDS];
};

enum TsimState : int32_t {
    TSIM_RUNNING = 0,
    TSIM_DONE = 1,
    TSIM_BROKEN = 2,  // a rule of the bus was broken; tsim_message says which and when
};

struct TsimReport {
    uint32_t registers[TSIM_REGISTERS];  // the readable control registers, in the order of
                                         // vta.memmap.REGISTERS
    uint64_t cycles;                     // clock cycles of this run, launch and read-out included
    uint64_t read_beats, write_beats;    // data beats that crossed the memory port
    uint32_t refused;                    // 1: an access met no region; the first one follows
    uint32_t refused_write;              // 1: it was a write
    uint32_t refused_id;                 // its AXI ID
    uint64_t refused_addr;               // the address of its beat
};

struct Tsim;

// A machine in its state after power-up. `trace`: a writable file for the waves, or
// null.
Tsim* tsim_new(const TsimTiming* timing, const char* trace, int32_t windowed);
void tsim_delete(Tsim*);

// Map the memory (regions by address, no two in one beat), write the registers and launch. The same
// seed gives the same stalls.
int32_t tsim_start(Tsim*, const TsimRegion* regions, uint32_t count, const TsimInjection* injection,
                   uint64_t seed, uint64_t insn_addr, uint32_t insn_count);

// Run until the end, but no more than so many cycles.
int32_t tsim_advance(Tsim*, uint64_t cycles);

// Read the registers, and acknowledge the end if there is one.
int32_t tsim_finish(Tsim*, TsimReport* report);

const char* tsim_message(const Tsim*);

// For a driver that does by itself what tsim_start, _advance and _finish do: map the memory; one access
// of the control port; let so many cycles pass.
int32_t tsim_map(Tsim*, const TsimRegion* regions, uint32_t count, const TsimInjection* injection,
                 uint64_t seed);
int32_t tsim_write(Tsim*, uint32_t offset, uint32_t value);
int32_t tsim_read(Tsim*, uint32_t offset, uint32_t* value);
int32_t tsim_step(Tsim*, uint64_t cycles);

// For coverage. In how many cycles each stall of an observed core has happened so far.
void tsim_stalls(const Tsim*, uint64_t* counts);

// For profiles. The changes of the output `activity` of an active core since the last launch, as words:
// a cycle, the value from that cycle on, and so on. Valid until the machine runs again; returns the
// number of words.
uint64_t tsim_activity(const Tsim*, const uint64_t** words);

// For profiles. The bursts of an active core that are complete since the last launch, by their ends;
// returns their number.
uint64_t tsim_bursts(const Tsim*, const TsimBurst** bursts);

// The window of the next run of a `windowed` machine; the core is an active one, and traced.
void tsim_window(Tsim*, const TsimWindow* window);

// For benchmarks. Record the core's inputs from now on (1) or stop (0); replay what was recorded on
// a machine in the same state with nothing but eval() and return the seconds of CPU time, with
// the cycles in `cycles`.
void tsim_record(Tsim*, int32_t on);
double tsim_replay(Tsim* machine, const Tsim* recorded, uint64_t* cycles);
}
