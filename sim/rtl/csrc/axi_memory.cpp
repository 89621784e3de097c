#include "axi_memory.h"

#include <algorithm>
#include <bit>
#include <cstring>

static_assert(std::endian::native == std::endian::little,
              "ports are copied as the bytes that they are in memory");

namespace {
constexpr uint32_t MAX_BEATS = 256;
constexpr uint8_t POISON = 0xCD;  // what a beat holds of bytes outside every region
constexpr uint64_t ALL_STROBES =
    BUS_BYTES == 64 ? ~uint64_t{0} : (uint64_t{1} << BUS_BYTES % 64) - 1;
}  // namespace

AxiMemory::AxiMemory(Vvta_core& core, const TsimTiming& timing)
    : core_(core),
      timing_(timing),
      stall_ar_(timing.stall_ar),
      stall_r_(timing.stall_r),
      stall_aw_(timing.stall_aw),
      stall_w_(timing.stall_w),
      stall_b_(timing.stall_b),
      read_slots_(timing.beat_rate),
      write_slots_(timing.beat_rate) {
    reads_.reserve(timing.outstanding_reads);
    writes_.resize(timing.outstanding_writes);
    for (WriteBurst& burst : writes_) {
        burst = {};
        burst.data.resize(MAX_BEATS * BUS_BYTES);
        burst.strobes.resize(MAX_BEATS);
    }
    map(nullptr, 0, {}, 0);
}

void AxiMemory::map(const TsimRegion* regions, uint32_t count, const TsimInjection& injection,
                    uint64_t seed) {
    regions_.assign(regions, regions + count);
    injection_ = injection;
    random_.seed(seed);
    read_slots_.restart();
    write_slots_.restart();
    read_beats_ = write_beats_ = 0;
    bursts_.clear();
    answered_ = addressed_ = filled_ = 0;
    refused_ = false;
}

void AxiMemory::check_quiet(uint64_t cycle) const {
    if (!reads_.empty() || ar_.stalled())
        broken(cycle, "DONE_TOO_EARLY", "the core is done while a read is under way");
    if (answered_ != addressed_ || answered_ != filled_ || aw_.stalled() || w_.stalled())
        broken(cycle, "DONE_TOO_EARLY", "the core is done while a write is under way");
}

void AxiMemory::report(TsimReport& report) const {
    report.read_beats = read_beats_;
    report.write_beats = write_beats_;
    report.refused = refused_;
    report.refused_write = refused_write_;
    report.refused_id = refused_id_;
    report.refused_addr = refused_addr_;
}

// ---- the memory's outputs -----------------------------------------------------------------------

void AxiMemory::drive_addresses() {
    core_.m_axi_arready = reads_.size() < timing_.outstanding_reads && !stall_ar_(random_);
    core_.m_axi_awready = addressed_ - answered_ < writes_.size() && !stall_aw_(random_);
}

// Decide who may use the data bus: a new read beat is put on R, or W is made ready. A beat that
// waits on R for RREADY has had its turn.
void AxiMemory::drive_data(uint64_t cycle) {
    const bool room = filled_ - answered_ < writes_.size();
    if (!timing_.shared_bus) {
        core_.m_axi_wready = room && write_slots_.next(random_) && !stall_w_(random_);
        if (core_.m_axi_rvalid || !read_slots_.next(random_)) return;
    } else {
        const bool want_write = room && core_.m_axi_wvalid;
        const bool want_read = !core_.m_axi_rvalid && pick_read(cycle) >= 0;
        core_.m_axi_wready = 0;
        if (!read_slots_.next(random_)) return;
        if (want_write && (write_turn_ || !want_read)) {
            core_.m_axi_wready = !stall_w_(random_);
            write_turn_ = false;
            return;
        }
        if (!want_read) return;
        write_turn_ = true;
    }
    const int picked = pick_read(cycle);
    if (picked < 0 || stall_r_(random_)) return;
    current_ = picked;
    const ReadBurst& burst = reads_[picked];
    core_.m_axi_rid = burst.id;
    core_.m_axi_rlast = burst.left == 1;
    core_.m_axi_rresp =
        read_beat(burst.addr, burst.id, reinterpret_cast<uint8_t*>(&core_.m_axi_rdata));
    core_.m_axi_rvalid = 1;
}

// The read that may send its next beat, or -1: the oldest, or with `reorder` the oldest of any ID.
int AxiMemory::pick_read(uint64_t cycle) {
    if (reads_.empty()) return -1;
    if (!timing_.reorder) return reads_[0].ready_at <= cycle ? 0 : -1;
    uint32_t seen = 0, candidates = 0;
    int picked = -1;
    for (size_t index = 0; index < reads_.size(); ++index) {
        const ReadBurst& burst = reads_[index];
        if (!(seen >> burst.id & 1) && burst.ready_at <= cycle && random_.below(++candidates) == 0)
            picked = static_cast<int>(index);
        seen |= 1u << burst.id;
    }
    return picked;
}

void AxiMemory::drive_write_response(uint64_t cycle) {
    if (core_.m_axi_bvalid || answered_ == addressed_ || answered_ == filled_) return;
    const WriteBurst& burst = slot(answered_);
    if (burst.ready_at > cycle || stall_b_(random_)) return;
    core_.m_axi_bid = burst.id;
    core_.m_axi_bresp = commit(burst);
    core_.m_axi_bvalid = 1;
}

// ---- the handshakes -----------------------------------------------------------------------------

void AxiMemory::sample(uint64_t cycle) {
    sample_read(cycle);
    sample_write(cycle);
}

void AxiMemory::sample_read(uint64_t cycle) {
    r_taken_ = core_.m_axi_rvalid && core_.m_axi_rready;
    if (r_taken_) {
        ++read_beats_;
        ReadBurst& burst = reads_[current_];
        burst.addr += BUS_BYTES;
        TsimBurst& record = burst.record;
        if (burst.left == record.beats) record.first = cycle;
        if (--burst.left == 0) {
            record.last = record.response = cycle;
            if (TSIM_ACTIVITY) bursts_.push_back(record);
            reads_.erase(reads_.begin() + current_);
        }
    }
    AddressBeat address;
    if (ar_.passes(cycle, core_.m_axi_arvalid, core_.m_axi_arready, address,
                   [&](AddressBeat& beat) {
                       beat = {core_.m_axi_araddr, core_.m_axi_arid,    core_.m_axi_arlen,
                               core_.m_axi_arsize, core_.m_axi_arburst, core_.m_axi_arcache,
                               core_.m_axi_arprot};
                   })) {
        check_address(cycle, "AR", address, READ_IDS);
        const uint32_t beats = address.len + 1u;
        const TsimBurst record{address.addr, cycle, 0, 0, 0, beats, address.id, 0};
        reads_.push_back(
            {address.addr, cycle + timing_.read_latency, beats, address.id, record});
    }
}

void AxiMemory::sample_write(uint64_t cycle) {
    b_taken_ = core_.m_axi_bvalid && core_.m_axi_bready;
    if (b_taken_) {
        WriteBurst& burst = slot(answered_++);
        burst.record.response = cycle;
        if (TSIM_ACTIVITY) bursts_.push_back(burst.record);
        burst.beats = burst.received = 0;
        burst.complete = false;
    }
    AddressBeat address;
    if (aw_.passes(cycle, core_.m_axi_awvalid, core_.m_axi_awready, address,
                   [&](AddressBeat& beat) {
                       beat = {core_.m_axi_awaddr, core_.m_axi_awid,    core_.m_axi_awlen,
                               core_.m_axi_awsize, core_.m_axi_awburst, core_.m_axi_awcache,
                               core_.m_axi_awprot};
                   })) {
        check_address(cycle, "AW", address, WRITE_IDS);
        WriteBurst& burst = slot(addressed_++);
        burst.addr = address.addr;
        burst.id = address.id;
        burst.beats = address.len + 1u;
        burst.record.addr = address.addr;
        burst.record.requested = cycle;
        burst.record.beats = burst.beats;
        burst.record.id = address.id;
        burst.record.write = 1;
        burst.ready_at = cycle + timing_.write_latency;
        if (burst.received > burst.beats || (burst.complete && burst.received != burst.beats))
            broken(cycle, "W_LAST", "%u data beats came for a burst of %u", burst.received,
                   burst.beats);
    }
    WriteBeat beat;
    if (w_.passes(cycle, core_.m_axi_wvalid, core_.m_axi_wready, beat, [&](WriteBeat& out) {
            std::memcpy(out.data, &core_.m_axi_wdata, BUS_BYTES);
            out.strobe = core_.m_axi_wstrb;
            out.last = core_.m_axi_wlast;
        })) {
        ++write_beats_;
        WriteBurst& burst = slot(filled_);
        if (burst.received == MAX_BEATS)
            broken(cycle, "W_LAST", "more than %u data beats without WLAST", MAX_BEATS);
        std::memcpy(&burst.data[burst.received * BUS_BYTES], beat.data, BUS_BYTES);
        if (burst.received == 0) burst.record.first = cycle;
        burst.record.last = cycle;
        burst.strobes[burst.received++] = beat.strobe;
        if (burst.beats && beat.last != (burst.received == burst.beats))
            broken(cycle, "W_LAST", "WLAST is %d on beat %u of %u", beat.last, burst.received,
                   burst.beats);
        if (beat.last) {
            burst.complete = true;
            burst.ready_at = cycle + timing_.write_latency;
            ++filled_;
        }
    }
}

// ---- the contents -------------------------------------------------------------------------------

// The region that holds a byte of the beat at `addr`, or null. Regions are sorted and no beat meets
// two of them.
const TsimRegion* AxiMemory::region_of(uint64_t addr) const {
    auto ends_before = [](const TsimRegion& region, uint64_t at) {
        return region.base + region.size <= at;
    };
    const auto found = std::lower_bound(regions_.begin(), regions_.end(), addr, ends_before);
    return found != regions_.end() && addr + BUS_BYTES > found->base ? &*found : nullptr;
}

AxiMemory::Response AxiMemory::refuse(uint64_t addr, uint8_t id, bool write) {
    if (!refused_) {
        refused_ = true;
        refused_addr_ = addr;
        refused_id_ = id;
        refused_write_ = write;
    }
    return DECERR;
}

AxiMemory::Response AxiMemory::read_beat(uint64_t addr, uint8_t id, uint8_t* out) {
    const TsimRegion* region = region_of(addr);
    if (!region || !(region->read_ids >> id & 1)) {
        std::memset(out, POISON, BUS_BYTES);
        return refuse(addr, id, false);
    }
    const uint64_t first = std::max(addr, region->base);
    const uint64_t end = std::min(addr + BUS_BYTES, region->base + region->size);
    if (end - first < BUS_BYTES) std::memset(out, POISON, BUS_BYTES);
    std::memcpy(out + (first - addr), region->data + (first - region->base), end - first);
    return injection_.read_beat == read_beats_ || injected(addr) ? SLVERR : OKAY;
}

// A burst is written as a whole or, if any byte of it is refused, not at all.
AxiMemory::Response AxiMemory::commit(const WriteBurst& burst) {
    for (const bool apply : {false, true}) {
        for (uint32_t beat = 0; beat < burst.beats; ++beat) {
            const uint64_t addr = burst.addr + uint64_t{beat} * BUS_BYTES;
            const Response response = write_beat(addr, burst.id, &burst.data[beat * BUS_BYTES],
                                                 burst.strobes[beat], apply);
            if (response != OKAY) return response;
        }
    }
    return OKAY;
}

AxiMemory::Response AxiMemory::write_beat(uint64_t addr, uint8_t id, const uint8_t* data,
                                          uint64_t strobe, bool apply) {
    if (!strobe) return OKAY;
    if (injection_.write_burst == answered_ || injected(addr)) return SLVERR;
    const TsimRegion* region = region_of(addr);
    if (!region || !region->writable) return refuse(addr, id, true);
    const bool whole = strobe == ALL_STROBES && addr >= region->base &&
                       addr + BUS_BYTES <= region->base + region->size;
    if (whole) {
        if (apply) std::memcpy(region->data + (addr - region->base), data, BUS_BYTES);
        return OKAY;
    }
    for (uint32_t lane = 0; lane < BUS_BYTES; ++lane) {
        if (!(strobe >> lane & 1)) continue;
        const uint64_t at = addr + lane;
        if (at < region->base || at - region->base >= region->size) return refuse(addr, id, true);
        if (apply) region->data[at - region->base] = data[lane];
    }
    return OKAY;
}
