// The hard blocks of the Zynq devices for a test bench: what they drive, the bench drives.
//
// The design lies in a module that brings it a clock: at a pin its edge is seen before the
// registers move, inside the design it would not be.

module bench (input clk, input reset_n, output [1:0] led);
  vta_top shell (.led_0__io(led[0]), .led_1__io(led[1]));
endmodule

module BUFG (input I, output O);
  assign O = I;
endmodule

module BUFG_PS (input I, output O);
  assign O = I;
endmodule

module OBUFT (input T, input I, output O);
  assign O = T ? 1'bz : I;
endmodule

module FDPE #(parameter INIT = 1'b1) (input C, CE, D, PRE, output reg Q = INIT);
  always @(posedge C or posedge PRE)
    if (PRE) Q <= 1;
    else if (CE) Q <= D;
endmodule

// Widths are those of UG585, written here once more.
module PS7 (
  output [3:0] FCLKCLK, FCLKRESETN, input [19:0] IRQF2P, input FPGAIDLEN,
  input MAXIGP0ACLK, SAXIHP0ACLK, SAXIHP0RDISSUECAP1EN, SAXIHP0WRISSUECAP1EN,

  output [11:0] MAXIGP0AWID, output [31:0] MAXIGP0AWADDR, output [3:0] MAXIGP0AWLEN,
  output [1:0] MAXIGP0AWSIZE, MAXIGP0AWBURST, MAXIGP0AWLOCK, output [3:0] MAXIGP0AWCACHE,
  output [2:0] MAXIGP0AWPROT, output [3:0] MAXIGP0AWQOS, output MAXIGP0AWVALID,
  input MAXIGP0AWREADY,
  output [11:0] MAXIGP0WID, output [31:0] MAXIGP0WDATA, output [3:0] MAXIGP0WSTRB,
  output MAXIGP0WLAST, MAXIGP0WVALID, input MAXIGP0WREADY,
  input [11:0] MAXIGP0BID, input [1:0] MAXIGP0BRESP, input MAXIGP0BVALID, output MAXIGP0BREADY,
  output [11:0] MAXIGP0ARID, output [31:0] MAXIGP0ARADDR, output [3:0] MAXIGP0ARLEN,
  output [1:0] MAXIGP0ARSIZE, MAXIGP0ARBURST, MAXIGP0ARLOCK, output [3:0] MAXIGP0ARCACHE,
  output [2:0] MAXIGP0ARPROT, output [3:0] MAXIGP0ARQOS, output MAXIGP0ARVALID,
  input MAXIGP0ARREADY,
  input [11:0] MAXIGP0RID, input [31:0] MAXIGP0RDATA, input [1:0] MAXIGP0RRESP,
  input MAXIGP0RLAST, MAXIGP0RVALID, output MAXIGP0RREADY,

  input [5:0] SAXIHP0AWID, input [31:0] SAXIHP0AWADDR, input [3:0] SAXIHP0AWLEN,
  input [1:0] SAXIHP0AWSIZE, SAXIHP0AWBURST, SAXIHP0AWLOCK, input [3:0] SAXIHP0AWCACHE,
  input [2:0] SAXIHP0AWPROT, input [3:0] SAXIHP0AWQOS, input SAXIHP0AWVALID,
  output SAXIHP0AWREADY,
  input [5:0] SAXIHP0WID, input [63:0] SAXIHP0WDATA, input [7:0] SAXIHP0WSTRB,
  input SAXIHP0WLAST, SAXIHP0WVALID, output SAXIHP0WREADY,
  output [5:0] SAXIHP0BID, output [1:0] SAXIHP0BRESP, output SAXIHP0BVALID, input SAXIHP0BREADY,
  input [5:0] SAXIHP0ARID, input [31:0] SAXIHP0ARADDR, input [3:0] SAXIHP0ARLEN,
  input [1:0] SAXIHP0ARSIZE, SAXIHP0ARBURST, SAXIHP0ARLOCK, input [3:0] SAXIHP0ARCACHE,
  input [2:0] SAXIHP0ARPROT, input [3:0] SAXIHP0ARQOS, input SAXIHP0ARVALID,
  output SAXIHP0ARREADY,
  output [5:0] SAXIHP0RID, output [63:0] SAXIHP0RDATA, output [1:0] SAXIHP0RRESP,
  output SAXIHP0RLAST, SAXIHP0RVALID, input SAXIHP0RREADY
);
  assign FCLKCLK = {3'b0, bench.clk};
  assign FCLKRESETN = {3'b0, bench.reset_n};
  wire [7:0] awlen, arlen;
  wire [2:0] awsize, arsize;
  assign {MAXIGP0AWLEN, MAXIGP0ARLEN} = {awlen[3:0], arlen[3:0]};
  assign {MAXIGP0AWSIZE, MAXIGP0ARSIZE} = {awsize[1:0], arsize[1:0]};
  assign MAXIGP0WID = MAXIGP0AWID;
  assign {MAXIGP0AWLOCK, MAXIGP0AWCACHE, MAXIGP0AWPROT, MAXIGP0AWQOS} = 0;
  assign {MAXIGP0ARLOCK, MAXIGP0ARCACHE, MAXIGP0ARPROT, MAXIGP0ARQOS} = 0;
  bench_master #(.A(32), .D(32), .I(12)) host (
    .awid_o(MAXIGP0AWID), .awaddr_o(MAXIGP0AWADDR), .awlen_o(awlen), .awsize_o(awsize),
    .awburst_o(MAXIGP0AWBURST), .awvalid_o(MAXIGP0AWVALID), .awready(MAXIGP0AWREADY),
    .wdata_o(MAXIGP0WDATA), .wstrb_o(MAXIGP0WSTRB), .wlast_o(MAXIGP0WLAST),
    .wvalid_o(MAXIGP0WVALID), .wready(MAXIGP0WREADY),
    .bid(MAXIGP0BID), .bresp(MAXIGP0BRESP), .bvalid(MAXIGP0BVALID), .bready_o(MAXIGP0BREADY),
    .arid_o(MAXIGP0ARID), .araddr_o(MAXIGP0ARADDR), .arlen_o(arlen), .arsize_o(arsize),
    .arburst_o(MAXIGP0ARBURST), .arvalid_o(MAXIGP0ARVALID), .arready(MAXIGP0ARREADY),
    .rid(MAXIGP0RID), .rdata(MAXIGP0RDATA), .rresp(MAXIGP0RRESP), .rlast(MAXIGP0RLAST),
    .rvalid(MAXIGP0RVALID), .rready_o(MAXIGP0RREADY)
  );
  bench_slave #(.A(32), .D(64), .I(6)) memory (
    .awid(SAXIHP0AWID), .awaddr(SAXIHP0AWADDR), .awlen({4'd0, SAXIHP0AWLEN}),
    .awsize({1'd0, SAXIHP0AWSIZE}), .awburst(SAXIHP0AWBURST), .awcache(SAXIHP0AWCACHE),
    .awprot(SAXIHP0AWPROT), .awvalid(SAXIHP0AWVALID), .awready_o(SAXIHP0AWREADY),
    .wid(SAXIHP0WID), .wdata(SAXIHP0WDATA), .wstrb(SAXIHP0WSTRB), .wlast(SAXIHP0WLAST),
    .wvalid(SAXIHP0WVALID), .wready_o(SAXIHP0WREADY),
    .bid_o(SAXIHP0BID), .bresp_o(SAXIHP0BRESP), .bvalid_o(SAXIHP0BVALID),
    .bready(SAXIHP0BREADY),
    .arid(SAXIHP0ARID), .araddr(SAXIHP0ARADDR), .arlen({4'd0, SAXIHP0ARLEN}),
    .arsize({1'd0, SAXIHP0ARSIZE}), .arburst(SAXIHP0ARBURST), .arcache(SAXIHP0ARCACHE),
    .arprot(SAXIHP0ARPROT), .arvalid(SAXIHP0ARVALID), .arready_o(SAXIHP0ARREADY),
    .rid_o(SAXIHP0RID), .rdata_o(SAXIHP0RDATA), .rresp_o(SAXIHP0RRESP),
    .rlast_o(SAXIHP0RLAST), .rvalid_o(SAXIHP0RVALID), .rready(SAXIHP0RREADY)
  );
  wire irq = IRQF2P == 1;
endmodule

// Widths are those of UG1085.
module PS8 (
  output [3:0] PLCLK, output [95:0] EMIOGPIOO, input [7:0] PLPSIRQ0,
  input MAXIGP0ACLK, SAXIGP2RCLK, SAXIGP2WCLK,

  output [15:0] MAXIGP0AWID, output [39:0] MAXIGP0AWADDR, output [7:0] MAXIGP0AWLEN,
  output [2:0] MAXIGP0AWSIZE, output [1:0] MAXIGP0AWBURST, output MAXIGP0AWLOCK,
  output [3:0] MAXIGP0AWCACHE, output [2:0] MAXIGP0AWPROT, output [3:0] MAXIGP0AWQOS,
  output MAXIGP0AWVALID, input MAXIGP0AWREADY,
  output [127:0] MAXIGP0WDATA, output [15:0] MAXIGP0WSTRB,
  output MAXIGP0WLAST, MAXIGP0WVALID, input MAXIGP0WREADY,
  input [15:0] MAXIGP0BID, input [1:0] MAXIGP0BRESP, input MAXIGP0BVALID, output MAXIGP0BREADY,
  output [15:0] MAXIGP0ARID, output [39:0] MAXIGP0ARADDR, output [7:0] MAXIGP0ARLEN,
  output [2:0] MAXIGP0ARSIZE, output [1:0] MAXIGP0ARBURST, output MAXIGP0ARLOCK,
  output [3:0] MAXIGP0ARCACHE, output [2:0] MAXIGP0ARPROT, output [3:0] MAXIGP0ARQOS,
  output MAXIGP0ARVALID, input MAXIGP0ARREADY,
  input [15:0] MAXIGP0RID, input [127:0] MAXIGP0RDATA, input [1:0] MAXIGP0RRESP,
  input MAXIGP0RLAST, MAXIGP0RVALID, output MAXIGP0RREADY,

  input [5:0] SAXIGP2AWID, input [48:0] SAXIGP2AWADDR, input [7:0] SAXIGP2AWLEN,
  input [2:0] SAXIGP2AWSIZE, input [1:0] SAXIGP2AWBURST, input SAXIGP2AWLOCK,
  input [3:0] SAXIGP2AWCACHE, input [2:0] SAXIGP2AWPROT, input [3:0] SAXIGP2AWQOS,
  input SAXIGP2AWVALID, output SAXIGP2AWREADY,
  input [127:0] SAXIGP2WDATA, input [15:0] SAXIGP2WSTRB,
  input SAXIGP2WLAST, SAXIGP2WVALID, output SAXIGP2WREADY,
  output [5:0] SAXIGP2BID, output [1:0] SAXIGP2BRESP, output SAXIGP2BVALID, input SAXIGP2BREADY,
  input [5:0] SAXIGP2ARID, input [48:0] SAXIGP2ARADDR, input [7:0] SAXIGP2ARLEN,
  input [2:0] SAXIGP2ARSIZE, input [1:0] SAXIGP2ARBURST, input SAXIGP2ARLOCK,
  input [3:0] SAXIGP2ARCACHE, input [2:0] SAXIGP2ARPROT, input [3:0] SAXIGP2ARQOS,
  input SAXIGP2ARVALID, output SAXIGP2ARREADY,
  output [5:0] SAXIGP2RID, output [127:0] SAXIGP2RDATA, output [1:0] SAXIGP2RRESP,
  output SAXIGP2RLAST, SAXIGP2RVALID, input SAXIGP2RREADY
);
  assign PLCLK = {3'b0, bench.clk};
  assign EMIOGPIOO = {bench.reset_n, 95'd0};
  assign {MAXIGP0AWLOCK, MAXIGP0AWCACHE, MAXIGP0AWPROT, MAXIGP0AWQOS} = 0;
  assign {MAXIGP0ARLOCK, MAXIGP0ARCACHE, MAXIGP0ARPROT, MAXIGP0ARQOS} = 0;
  bench_master #(.A(40), .D(128), .I(16)) host (
    .awid_o(MAXIGP0AWID), .awaddr_o(MAXIGP0AWADDR), .awlen_o(MAXIGP0AWLEN),
    .awsize_o(MAXIGP0AWSIZE), .awburst_o(MAXIGP0AWBURST), .awvalid_o(MAXIGP0AWVALID),
    .awready(MAXIGP0AWREADY),
    .wdata_o(MAXIGP0WDATA), .wstrb_o(MAXIGP0WSTRB), .wlast_o(MAXIGP0WLAST),
    .wvalid_o(MAXIGP0WVALID), .wready(MAXIGP0WREADY),
    .bid(MAXIGP0BID), .bresp(MAXIGP0BRESP), .bvalid(MAXIGP0BVALID), .bready_o(MAXIGP0BREADY),
    .arid_o(MAXIGP0ARID), .araddr_o(MAXIGP0ARADDR), .arlen_o(MAXIGP0ARLEN),
    .arsize_o(MAXIGP0ARSIZE), .arburst_o(MAXIGP0ARBURST), .arvalid_o(MAXIGP0ARVALID),
    .arready(MAXIGP0ARREADY),
    .rid(MAXIGP0RID), .rdata(MAXIGP0RDATA), .rresp(MAXIGP0RRESP), .rlast(MAXIGP0RLAST),
    .rvalid(MAXIGP0RVALID), .rready_o(MAXIGP0RREADY)
  );
  bench_slave #(.A(49), .D(128), .I(6)) memory (
    .awid(SAXIGP2AWID), .awaddr(SAXIGP2AWADDR), .awlen(SAXIGP2AWLEN), .awsize(SAXIGP2AWSIZE),
    .awburst(SAXIGP2AWBURST), .awcache(SAXIGP2AWCACHE), .awprot(SAXIGP2AWPROT),
    .awvalid(SAXIGP2AWVALID), .awready_o(SAXIGP2AWREADY),
    .wid(6'd0), .wdata(SAXIGP2WDATA), .wstrb(SAXIGP2WSTRB), .wlast(SAXIGP2WLAST),
    .wvalid(SAXIGP2WVALID), .wready_o(SAXIGP2WREADY),
    .bid_o(SAXIGP2BID), .bresp_o(SAXIGP2BRESP), .bvalid_o(SAXIGP2BVALID),
    .bready(SAXIGP2BREADY),
    .arid(SAXIGP2ARID), .araddr(SAXIGP2ARADDR), .arlen(SAXIGP2ARLEN), .arsize(SAXIGP2ARSIZE),
    .arburst(SAXIGP2ARBURST), .arcache(SAXIGP2ARCACHE), .arprot(SAXIGP2ARPROT),
    .arvalid(SAXIGP2ARVALID), .arready_o(SAXIGP2ARREADY),
    .rid_o(SAXIGP2RID), .rdata_o(SAXIGP2RDATA), .rresp_o(SAXIGP2RRESP),
    .rlast_o(SAXIGP2RLAST), .rvalid_o(SAXIGP2RVALID), .rready(SAXIGP2RREADY)
  );
  wire irq = PLPSIRQ0 == 1;
endmodule

// The bench's master behind the port to the registers; AxLEN is as wide as AXI4's.
module bench_master #(parameter A = 32, D = 32, I = 12) (
  output [I-1:0] awid_o, output [A-1:0] awaddr_o, output [7:0] awlen_o, output [2:0] awsize_o,
  output [1:0] awburst_o, output awvalid_o, input awready,
  output [D-1:0] wdata_o, output [D/8-1:0] wstrb_o, output wlast_o, wvalid_o, input wready,
  input [I-1:0] bid, input [1:0] bresp, input bvalid, output bready_o,
  output [I-1:0] arid_o, output [A-1:0] araddr_o, output [7:0] arlen_o, output [2:0] arsize_o,
  output [1:0] arburst_o, output arvalid_o, input arready,
  input [I-1:0] rid, input [D-1:0] rdata, input [1:0] rresp, input rlast, rvalid, output rready_o
);
  reg [I-1:0] awid = 0, arid = 0;
  reg [A-1:0] awaddr = 0, araddr = 0;
  reg [7:0] awlen = 0, arlen = 0;
  reg [2:0] awsize = 0, arsize = 0;
  reg [1:0] awburst = 0, arburst = 0;
  reg [D-1:0] wdata = 0;
  reg [D/8-1:0] wstrb = 0;
  reg awvalid = 0, arvalid = 0, wvalid = 0, wlast = 0, bready = 0, rready = 0;
  assign {awid_o, awaddr_o, awlen_o} = {awid, awaddr, awlen};
  assign {awsize_o, awburst_o, awvalid_o} = {awsize, awburst, awvalid};
  assign {wdata_o, wstrb_o, wlast_o, wvalid_o} = {wdata, wstrb, wlast, wvalid};
  assign {arid_o, araddr_o, arlen_o} = {arid, araddr, arlen};
  assign {arsize_o, arburst_o, arvalid_o} = {arsize, arburst, arvalid};
  assign {bready_o, rready_o} = {bready, rready};
endmodule

// The bench's slave behind the memory port.
module bench_slave #(parameter A = 32, D = 64, I = 6) (
  input [I-1:0] awid, input [A-1:0] awaddr, input [7:0] awlen, input [2:0] awsize,
  input [1:0] awburst, input [3:0] awcache, input [2:0] awprot, input awvalid, output awready_o,
  input [I-1:0] wid, input [D-1:0] wdata, input [D/8-1:0] wstrb, input wlast, wvalid,
  output wready_o,
  output [I-1:0] bid_o, output [1:0] bresp_o, output bvalid_o, input bready,
  input [I-1:0] arid, input [A-1:0] araddr, input [7:0] arlen, input [2:0] arsize,
  input [1:0] arburst, input [3:0] arcache, input [2:0] arprot, input arvalid, output arready_o,
  output [I-1:0] rid_o, output [D-1:0] rdata_o, output [1:0] rresp_o, output rlast_o, rvalid_o,
  input rready
);
  reg rst = 0;
  reg [I-1:0] bid = 0, rid = 0;
  reg [D-1:0] rdata = 0;
  reg [1:0] bresp = 0, rresp = 0;
  reg awready = 0, wready = 0, bvalid = 0, arready = 0, rlast = 0, rvalid = 0;
  assign {awready_o, wready_o, arready_o} = {awready, wready, arready};
  assign {bid_o, bresp_o, bvalid_o} = {bid, bresp, bvalid};
  assign {rid_o, rdata_o, rresp_o, rlast_o, rvalid_o} = {rid, rdata, rresp, rlast, rvalid};
endmodule
