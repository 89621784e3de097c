// What the core's inputs were in each cycle, to run the core again without its surroundings.
#pragma once

#include <cstring>
#include <type_traits>
#include <vector>

#include "Vvta_core.h"

#define EACH_INPUT(DO)                                                                          \
    DO(m_axi_awready)                                                                           \
    DO(m_axi_wready) DO(m_axi_bid) DO(m_axi_bresp) DO(m_axi_bvalid) DO(m_axi_arready)           \
        DO(m_axi_rid) DO(m_axi_rdata) DO(m_axi_rresp) DO(m_axi_rlast) DO(m_axi_rvalid)          \
            DO(s_axi_awaddr) DO(s_axi_awvalid) DO(s_axi_wdata) DO(s_axi_wstrb) DO(s_axi_wvalid) \
                DO(s_axi_bready) DO(s_axi_araddr) DO(s_axi_arvalid) DO(s_axi_rready)

class Recording {
public:
    bool on = false;

    void capture(const Vvta_core& core) {
        if (!on) return;
        Inputs inputs;
#define COPY(port) std::memcpy(&inputs.port, &core.port, sizeof inputs.port);
        EACH_INPUT(COPY)
#undef COPY
        cycles_.push_back(inputs);
    }

    // One evaluation at each clock edge, and nothing else.
    void replay(Vvta_core& core) const {
        for (const Inputs& inputs : cycles_) {
#define COPY(port) std::memcpy(&core.port, &inputs.port, sizeof inputs.port);
            EACH_INPUT(COPY)
#undef COPY
            core.clk = 0;
            core.eval();
            core.clk = 1;
            core.eval();
        }
    }

    uint64_t size() const { return cycles_.size(); }

private:
    struct Inputs {
#define DECLARE(port) std::remove_reference_t<decltype(Vvta_core::port)> port;
        EACH_INPUT(DECLARE)
#undef DECLARE
    };

    std::vector<Inputs> cycles_;
};

#undef EACH_INPUT
