// A DRAM behind the core's AXI4 port: regions of host memory, timing, and the rules of the bus.
//
// A cycle is: drive() sets the memory's outputs for the cycle, the core's combinational outputs
// settle, sample() looks at which handshakes take place at the coming clock edge. Reads return what
// was written by writes that were answered before; a write becomes visible in the cycle in which
// its response does, as late as AXI allows.
#pragma once

#include <cstdint>
#include <vector>

#include "Vvta_core.h"
#include "axi_rules.h"
#include "random.h"
#include "tsim.h"

class AxiMemory {
public:
    AxiMemory(Vvta_core& core, const TsimTiming& timing);

    // Forget the transfers (none may be under way) and answer from these regions.
    void map(const TsimRegion* regions, uint32_t count, const TsimInjection& injection,
             uint64_t seed);

    void drive(uint64_t cycle) {
        if (r_taken_) core_.m_axi_rvalid = 0;
        if (b_taken_) core_.m_axi_bvalid = 0;
        drive_addresses();
        drive_data(cycle);
        drive_write_response(cycle);
    }
    void sample(uint64_t cycle);

    // Throws if a transfer is under way: a machine that says it is done must be done.
    void check_quiet(uint64_t cycle) const;

    void report(TsimReport& report) const;

    // Of an active core: the bursts that are complete since map(), in the order of their ends.
    const std::vector<TsimBurst>& bursts() const { return bursts_; }

private:
    enum Response : uint8_t { OKAY = 0, SLVERR = 2, DECERR = 3 };

    struct ReadBurst {
        uint64_t addr;  // of the next beat
        uint64_t ready_at;
        uint32_t left;
        uint8_t id;
        TsimBurst record;
    };
    // Address and data of a write arrive independently, each in its own order; slots pair them.
    struct WriteBurst {
        uint64_t addr;
        uint64_t ready_at;
        uint32_t beats;     // 0: the address has not come yet
        uint32_t received;  // data beats
        uint8_t id;
        bool complete;  // the last data beat has come
        std::vector<uint8_t> data;
        std::vector<uint64_t> strobes;
        TsimBurst record;
    };

    void drive_addresses();
    void drive_data(uint64_t cycle);
    void drive_write_response(uint64_t cycle);
    void sample_read(uint64_t cycle);
    void sample_write(uint64_t cycle);

    int pick_read(uint64_t cycle);
    Response read_beat(uint64_t addr, uint8_t id, uint8_t* out);
    Response commit(const WriteBurst& burst);
    Response write_beat(uint64_t addr, uint8_t id, const uint8_t* data, uint64_t strobe,
                        bool apply);
    Response refuse(uint64_t addr, uint8_t id, bool write);
    const TsimRegion* region_of(uint64_t addr) const;
    bool injected(uint64_t addr) const {
        return addr + BUS_BYTES > injection_.low && addr < injection_.high;
    }
    WriteBurst& slot(uint64_t number) { return writes_[number % writes_.size()]; }

    Vvta_core& core_;
    const TsimTiming timing_;
    const Chance stall_ar_, stall_r_, stall_aw_, stall_w_, stall_b_;
    Slots read_slots_, write_slots_;
    Random random_;
    bool write_turn_ = false;

    std::vector<TsimRegion> regions_;
    TsimInjection injection_{};

    Handshake<AddressBeat> ar_{"AR"}, aw_{"AW"};
    Handshake<WriteBeat> w_{"W"};

    std::vector<ReadBurst> reads_;  // by age
    int current_ = 0;               // the read whose beat is on R
    bool r_taken_ = false, b_taken_ = false;
    std::vector<WriteBurst> writes_;
    uint64_t answered_ = 0, addressed_ = 0,
             filled_ = 0;  // write bursts: answered <= addressed, filled

    std::vector<TsimBurst> bursts_;
    uint64_t read_beats_ = 0, write_beats_ = 0;
    bool refused_ = false, refused_write_ = false;
    uint8_t refused_id_ = 0;
    uint64_t refused_addr_ = 0;
};
