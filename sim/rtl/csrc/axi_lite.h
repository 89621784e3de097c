// The host's side of the AXI4-Lite control port: one access at a time.
#pragma once

#include <cstdint>

#include "Vvta_core.h"

class AxiLite {
public:
    explicit AxiLite(Vvta_core& core) : core_(core) {}

    bool busy() const { return busy_; }
    uint32_t data() const { return data_; }
    bool okay() const { return okay_; }

    void start_write(uint32_t offset, uint32_t value) {
        core_.s_axi_awaddr = offset;
        core_.s_axi_awvalid = 1;
        core_.s_axi_wdata = value;
        core_.s_axi_wstrb = 0xF;
        core_.s_axi_wvalid = 1;
        core_.s_axi_bready = 1;
        busy_ = true;
    }

    void start_read(uint32_t offset) {
        core_.s_axi_araddr = offset;
        core_.s_axi_arvalid = 1;
        core_.s_axi_rready = 1;
        busy_ = true;
    }

    // The handshakes of the coming clock edge. An accepted VALID goes low in the next cycle.
    void sample() {
        if (!busy_) return;
        aw_done_ = core_.s_axi_awvalid && core_.s_axi_awready;
        w_done_ = core_.s_axi_wvalid && core_.s_axi_wready;
        ar_done_ = core_.s_axi_arvalid && core_.s_axi_arready;
        b_done_ = core_.s_axi_bvalid && core_.s_axi_bready;
        r_done_ = core_.s_axi_rvalid && core_.s_axi_rready;
        if (r_done_) data_ = core_.s_axi_rdata;
        if (r_done_ || b_done_) okay_ = (r_done_ ? core_.s_axi_rresp : core_.s_axi_bresp) == 0;
    }

    void drive() {
        if (!busy_) return;
        if (aw_done_) core_.s_axi_awvalid = 0;
        if (w_done_) core_.s_axi_wvalid = 0;
        if (ar_done_) core_.s_axi_arvalid = 0;
        if (b_done_ || r_done_) {
            core_.s_axi_bready = core_.s_axi_rready = 0;
            busy_ = false;
        }
        aw_done_ = w_done_ = ar_done_ = b_done_ = r_done_ = false;
    }

private:
    Vvta_core& core_;
    uint32_t data_ = 0;
    bool busy_ = false, okay_ = true;
    bool aw_done_ = false, w_done_ = false, ar_done_ = false, b_done_ = false, r_done_ = false;
};
