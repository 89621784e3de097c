// The hard blocks of a Cyclone V for a test bench: what they drive, the bench drives.
//
// Widths are those of the vendor's simulation library, written here once more. Towards the bench,
// AXI ports have the widths of AXI4 and of the data that are in use, as its peers want them.

module altiobuf_in #(
  parameter number_of_channels = 1, enable_bus_hold = "FALSE", use_differential_mode = "FALSE"
) (input datain, output dataout);
  assign dataout = datain;
endmodule

module altiobuf_out #(
  parameter number_of_channels = 1, enable_bus_hold = "FALSE", use_differential_mode = "FALSE",
            use_oe = "FALSE"
) (input datain, output dataout);
  assign dataout = datain;
endmodule

// The clock goes through; the bench says when it is locked.
module altera_pll #(
  parameter reference_clock_frequency = "", output_clock_frequency0 = "", phase_shift0 = "",
            operation_mode = "", fractional_vco_multiplier = "", pll_type = "", pll_subtype = "",
            number_of_clocks = 1, duty_cycle0 = 50
) (input refclk, input rst, input fbclk, output outclk, output locked);
  reg lock = 0;
  assign outclk = refclk;
  assign locked = lock;
endmodule

module altera_std_synchronizer #(parameter depth = 2) (input clk, reset_n, din, output dout);
  reg [depth-1:0] stages = 0;
  always @(posedge clk or negedge reset_n)
    if (!reset_n) stages <= 0;
    else stages <= {stages[depth-2:0], din};
  assign dout = stages[depth-1];
endmodule

module cyclonev_hps_interface_clocks_resets (
  input f2h_cold_rst_req_n, f2h_dbg_rst_req_n, f2h_warm_rst_req_n, f2h_pending_rst_ack,
  output h2f_rst_n
);
  reg running = 0;
  assign h2f_rst_n = running;
endmodule

module cyclonev_hps_interface_dbg_apb (input DBG_APB_DISABLE, P_CLK_EN);
endmodule

module cyclonev_hps_interface_tpiu_trace (input traceclk_ctl);
endmodule

module cyclonev_hps_interface_boot_from_fpga (
  input boot_from_fpga_ready, boot_from_fpga_on_failure, bsel_en, csel_en,
  input [1:0] csel, input [2:0] bsel
);
endmodule

module cyclonev_hps_interface_interrupts (input [63:0] irq);
endmodule

module cyclonev_hps_interface_hps2fpga (input [1:0] port_size_config);
endmodule

module cyclonev_hps_interface_fpga2sdram (
  input [5:0] cfg_axi_mm_select, input [11:0] cfg_port_width, cfg_cport_type,
  input [17:0] cfg_cport_rfifo_map, cfg_cport_wfifo_map,
  input [15:0] cfg_rfifo_cport_map, cfg_wfifo_cport_map
);
endmodule

module cyclonev_hps_interface_hps2fpga_light_weight (
  input clk,
  output [11:0] awid, output [20:0] awaddr, output [3:0] awlen, output [2:0] awsize,
  output [1:0] awburst, output [1:0] awlock, output [3:0] awcache, output [2:0] awprot,
  output awvalid, input awready,
  output [11:0] wid, output [31:0] wdata, output [3:0] wstrb, output wlast, output wvalid,
  input wready,
  input [11:0] bid, input [1:0] bresp, input bvalid, output bready,
  output [11:0] arid, output [20:0] araddr, output [3:0] arlen, output [2:0] arsize,
  output [1:0] arburst, output [1:0] arlock, output [3:0] arcache, output [2:0] arprot,
  output arvalid, input arready,
  input [11:0] rid, input [31:0] rdata, input [1:0] rresp, input rlast, input rvalid,
  output rready
);
  bench_master host (
    .clk(clk),
    .awid_o(awid), .awaddr_o(awaddr), .awlen_o(awlen), .awsize_o(awsize), .awburst_o(awburst),
    .awvalid_o(awvalid), .awready(awready),
    .wdata_o(wdata), .wstrb_o(wstrb), .wlast_o(wlast), .wvalid_o(wvalid), .wready(wready),
    .bid(bid), .bresp(bresp), .bvalid(bvalid), .bready_o(bready),
    .arid_o(arid), .araddr_o(araddr), .arlen_o(arlen), .arsize_o(arsize), .arburst_o(arburst),
    .arvalid_o(arvalid), .arready(arready),
    .rid(rid), .rdata(rdata), .rresp(rresp), .rlast(rlast), .rvalid(rvalid), .rready_o(rready)
  );
  assign wid = awid;
  assign {awlock, awcache, awprot, arlock, arcache, arprot} = 0;
endmodule

// The bench's master behind the lightweight bridge.
module bench_master (
  input clk,
  output [11:0] awid_o, output [20:0] awaddr_o, output [3:0] awlen_o, output [2:0] awsize_o,
  output [1:0] awburst_o, output awvalid_o, input awready,
  output [31:0] wdata_o, output [3:0] wstrb_o, output wlast_o, output wvalid_o, input wready,
  input [11:0] bid, input [1:0] bresp, input bvalid, output bready_o,
  output [11:0] arid_o, output [20:0] araddr_o, output [3:0] arlen_o, output [2:0] arsize_o,
  output [1:0] arburst_o, output arvalid_o, input arready,
  input [11:0] rid, input [31:0] rdata, input [1:0] rresp, input rlast, rvalid, output rready_o
);
  reg [11:0] awid = 0, arid = 0;
  reg [20:0] awaddr = 0, araddr = 0;
  reg [7:0] awlen = 0, arlen = 0;
  reg [2:0] awsize = 0, arsize = 0;
  reg [1:0] awburst = 0, arburst = 0;
  reg [31:0] wdata = 0;
  reg [3:0] wstrb = 0;
  reg awvalid = 0, arvalid = 0, wvalid = 0, wlast = 0, bready = 0, rready = 0;
  assign {awid_o, awaddr_o, awlen_o} = {awid, awaddr, awlen[3:0]};
  assign {awsize_o, awburst_o, awvalid_o} = {awsize, awburst, awvalid};
  assign {wdata_o, wstrb_o, wlast_o, wvalid_o} = {wdata, wstrb, wlast, wvalid};
  assign {arid_o, araddr_o, arlen_o} = {arid, araddr, arlen[3:0]};
  assign {arsize_o, arburst_o, arvalid_o} = {arsize, arburst, arvalid};
  assign {bready_o, rready_o} = {bready, rready};
endmodule

module cyclonev_hps_interface_fpga2hps (
  input clk, input [1:0] port_size_config,
  input [7:0] awid, input [31:0] awaddr, input [3:0] awlen, input [2:0] awsize,
  input [1:0] awburst, input [1:0] awlock, input [3:0] awcache, input [2:0] awprot,
  input [4:0] awuser, input awvalid, output awready,
  input [7:0] wid, input [127:0] wdata, input [15:0] wstrb, input wlast, input wvalid,
  output wready,
  output [7:0] bid, output [1:0] bresp, output bvalid, input bready,
  input [7:0] arid, input [31:0] araddr, input [3:0] arlen, input [2:0] arsize,
  input [1:0] arburst, input [1:0] arlock, input [3:0] arcache, input [2:0] arprot,
  input [4:0] aruser, input arvalid, output arready,
  output [7:0] rid, output [127:0] rdata, output [1:0] rresp, output rlast, output rvalid,
  input rready
);
  bench_slave memory (
    .clk(clk),
    .awid(awid), .awaddr(awaddr), .awlen({4'd0, awlen}), .awsize(awsize), .awburst(awburst),
    .awcache(awcache), .awprot(awprot), .awuser(awuser), .awvalid(awvalid), .awready_o(awready),
    .wid(wid), .wdata(wdata[63:0]), .wstrb(wstrb[7:0]), .wlast(wlast), .wvalid(wvalid), .wready_o(wready),
    .bid_o(bid), .bresp_o(bresp), .bvalid_o(bvalid), .bready(bready),
    .arid(arid), .araddr(araddr), .arlen({4'd0, arlen}), .arsize(arsize), .arburst(arburst),
    .arcache(arcache), .arprot(arprot), .aruser(aruser), .arvalid(arvalid), .arready_o(arready),
    .rid_o(rid), .rdata_o(rdata[63:0]), .rresp_o(rresp), .rlast_o(rlast), .rvalid_o(rvalid),
    .rready(rready)
  );
  assign rdata[127:64] = 64'hdead_dead_dead_dead;  // nobody is to look there
endmodule

// The bench's slave behind the FPGA-to-HPS bridge.
module bench_slave (
  input clk,
  input [7:0] awid, input [31:0] awaddr, input [7:0] awlen, input [2:0] awsize,
  input [1:0] awburst, input [3:0] awcache, input [2:0] awprot, input [4:0] awuser,
  input awvalid, output awready_o,
  input [7:0] wid, input [63:0] wdata, input [7:0] wstrb, input wlast, wvalid,
  output wready_o,
  output [7:0] bid_o, output [1:0] bresp_o, output bvalid_o, input bready,
  input [7:0] arid, input [31:0] araddr, input [7:0] arlen, input [2:0] arsize,
  input [1:0] arburst, input [3:0] arcache, input [2:0] arprot, input [4:0] aruser,
  input arvalid, output arready_o,
  output [7:0] rid_o, output [63:0] rdata_o, output [1:0] rresp_o, output rlast_o, rvalid_o,
  input rready
);
  reg rst = 0;  // of the bridge
  reg [7:0] bid = 0, rid = 0;
  reg [63:0] rdata = 0;
  reg [1:0] bresp = 0, rresp = 0;
  reg awready = 0, wready = 0, bvalid = 0, arready = 0, rlast = 0, rvalid = 0;
  assign {awready_o, wready_o, arready_o} = {awready, wready, arready};
  assign {bid_o, bresp_o, bvalid_o} = {bid, bresp, bvalid};
  assign {rid_o, rdata_o, rresp_o, rlast_o, rvalid_o} = {rid, rdata, rresp, rlast, rvalid};
endmodule
