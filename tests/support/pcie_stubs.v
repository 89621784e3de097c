// The hard block of a PCIe card, its clocks and I/O cells for a test bench: what they drive, the
// bench drives.
//
// The design lies in a module that brings it its clocks: at a pin their edges are seen before the
// registers move, inside the design they would not be.

module bench (input user_clk, input core_clk, output [2:0] led);
  // What the hard block drives, and what it reads.
  reg user_reset, user_lnk_up, pcie_rq_seq_num_vld0;
  reg [5:0] pcie_rq_seq_num0;
  reg s_axis_rq_tready, s_axis_cc_tready;  // of four copies
  reg [127:0] m_axis_rc_tdata, m_axis_cq_tdata;
  reg [3:0] m_axis_rc_tkeep, m_axis_cq_tkeep;
  reg m_axis_rc_tlast, m_axis_cq_tlast, m_axis_rc_tvalid, m_axis_cq_tvalid;
  reg [74:0] m_axis_rc_tuser;
  reg [87:0] m_axis_cq_tuser;
  wire m_axis_rc_tready, m_axis_cq_tready;
  wire [127:0] s_axis_rq_tdata, s_axis_cc_tdata;
  wire [3:0] s_axis_rq_tkeep, s_axis_cc_tkeep;
  wire s_axis_rq_tlast, s_axis_cc_tlast, s_axis_rq_tvalid, s_axis_cc_tvalid;
  wire [61:0] s_axis_rq_tuser;
  wire [32:0] s_axis_cc_tuser;
  wire [3:0] txp, txn;

  vta_top shell (
    .led_0__io(led[0]), .led_1__io(led[1]), .led_2__io(led[2]),
    .pcie_0__clock__p(1'b0), .pcie_0__clock__n(1'b1), .pcie_0__reset_n__io(1'b1),
    .pcie_0__rx__p(4'b0), .pcie_0__rx__n(4'b0), .pcie_0__tx__p(txp), .pcie_0__tx__n(txn)
  );
endmodule

module IBUF (input I, output O);
  assign O = I;
endmodule

module BUFG (input I, output O);
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

module IBUFDS_GTE4 #(parameter REFCLK_HROW_CK_SEL = 2'b00) (input I, IB, CEB, output O, ODIV2);
  assign O = I;
  assign ODIV2 = I;
endmodule

// It has locked some cycles after its reset.
module MMCME4_BASE #(
  parameter real CLKIN1_PERIOD = 0, CLKFBOUT_MULT_F = 0, CLKOUT0_DIVIDE_F = 0,
  parameter DIVCLK_DIVIDE = 1
) (input CLKIN1, CLKFBIN, RST, PWRDWN, output CLKFBOUT, CLKOUT0, output LOCKED);
  reg [3:0] settled = 0;
  assign CLKFBOUT = CLKIN1;
  assign CLKOUT0 = bench.core_clk;
  assign LOCKED = &settled;
  always @(posedge CLKIN1 or posedge RST)
    if (RST) settled <= 0;
    else if (!LOCKED) settled <= settled + 1;
endmodule

// Names and widths are those of PG213 for 128 bits and four lanes, written here once more.
module pcie4_uscale_plus_0 (
  input sys_clk, sys_clk_gt, sys_reset,
  input [3:0] pci_exp_rxp, pci_exp_rxn, output [3:0] pci_exp_txp, pci_exp_txn,
  output user_clk, output user_reset, user_lnk_up,

  input [127:0] s_axis_rq_tdata, input [3:0] s_axis_rq_tkeep, input s_axis_rq_tlast,
  input [61:0] s_axis_rq_tuser, input s_axis_rq_tvalid, output [3:0] s_axis_rq_tready,
  output [127:0] m_axis_rc_tdata, output [3:0] m_axis_rc_tkeep,
  output m_axis_rc_tlast, output [74:0] m_axis_rc_tuser, output m_axis_rc_tvalid,
  input m_axis_rc_tready,
  output [127:0] m_axis_cq_tdata, output [3:0] m_axis_cq_tkeep,
  output m_axis_cq_tlast, output [87:0] m_axis_cq_tuser, output m_axis_cq_tvalid,
  input m_axis_cq_tready,
  input [127:0] s_axis_cc_tdata, input [3:0] s_axis_cc_tkeep, input s_axis_cc_tlast,
  input [32:0] s_axis_cc_tuser, input s_axis_cc_tvalid, output [3:0] s_axis_cc_tready,

  output [5:0] pcie_rq_seq_num0, output pcie_rq_seq_num_vld0,
  input [1:0] pcie_cq_np_req,
  input [9:0] cfg_mgmt_addr, input [7:0] cfg_mgmt_function_number, input cfg_mgmt_write,
  input [31:0] cfg_mgmt_write_data, input [3:0] cfg_mgmt_byte_enable, input cfg_mgmt_read,
  input cfg_mgmt_debug_access,
  input cfg_msg_transmit, input [2:0] cfg_msg_transmit_type, input [31:0] cfg_msg_transmit_data,
  input [2:0] cfg_fc_sel, input [63:0] cfg_dsn, input cfg_power_state_change_ack,
  input cfg_err_cor_in, cfg_err_uncor_in, input [3:0] cfg_flr_done,
  input [7:0] cfg_vf_flr_func_num, input cfg_vf_flr_done, cfg_link_training_enable,
  input [3:0] cfg_interrupt_int, cfg_interrupt_pending,
  input [1:0] cfg_interrupt_msi_select, input [31:0] cfg_interrupt_msi_int,
  input [31:0] cfg_interrupt_msi_pending_status,
  input cfg_interrupt_msi_pending_status_data_enable,
  input [1:0] cfg_interrupt_msi_pending_status_function_num,
  input [2:0] cfg_interrupt_msi_attr, input cfg_interrupt_msi_tph_present,
  input [1:0] cfg_interrupt_msi_tph_type, input [7:0] cfg_interrupt_msi_tph_st_tag,
  input [7:0] cfg_interrupt_msi_function_number,
  input cfg_pm_aspm_l1_entry_reject, cfg_pm_aspm_tx_l0s_entry_disable,
  input cfg_config_space_enable, cfg_req_pm_transition_l23_ready, cfg_hot_reset_in,
  input [7:0] cfg_ds_port_number, cfg_ds_bus_number, input [4:0] cfg_ds_device_number
);
  assign user_clk = bench.user_clk;
  assign {pci_exp_txp, pci_exp_txn} = 0;
  assign user_reset = bench.user_reset;
  assign user_lnk_up = bench.user_lnk_up;
  assign pcie_rq_seq_num0 = bench.pcie_rq_seq_num0;
  assign pcie_rq_seq_num_vld0 = bench.pcie_rq_seq_num_vld0;
  assign s_axis_rq_tready = {4{bench.s_axis_rq_tready}};
  assign s_axis_cc_tready = {4{bench.s_axis_cc_tready}};
  assign m_axis_rc_tdata = bench.m_axis_rc_tdata;
  assign m_axis_rc_tkeep = bench.m_axis_rc_tkeep;
  assign m_axis_rc_tlast = bench.m_axis_rc_tlast;
  assign m_axis_rc_tuser = bench.m_axis_rc_tuser;
  assign m_axis_rc_tvalid = bench.m_axis_rc_tvalid;
  assign m_axis_cq_tdata = bench.m_axis_cq_tdata;
  assign m_axis_cq_tkeep = bench.m_axis_cq_tkeep;
  assign m_axis_cq_tlast = bench.m_axis_cq_tlast;
  assign m_axis_cq_tuser = bench.m_axis_cq_tuser;
  assign m_axis_cq_tvalid = bench.m_axis_cq_tvalid;
  assign bench.m_axis_rc_tready = m_axis_rc_tready;
  assign bench.m_axis_cq_tready = m_axis_cq_tready;
  assign bench.s_axis_rq_tdata = s_axis_rq_tdata;
  assign bench.s_axis_rq_tkeep = s_axis_rq_tkeep;
  assign bench.s_axis_rq_tlast = s_axis_rq_tlast;
  assign bench.s_axis_rq_tuser = s_axis_rq_tuser;
  assign bench.s_axis_rq_tvalid = s_axis_rq_tvalid;
  assign bench.s_axis_cc_tdata = s_axis_cc_tdata;
  assign bench.s_axis_cc_tkeep = s_axis_cc_tkeep;
  assign bench.s_axis_cc_tlast = s_axis_cc_tlast;
  assign bench.s_axis_cc_tuser = s_axis_cc_tuser;
  assign bench.s_axis_cc_tvalid = s_axis_cc_tvalid;
  // The hard block wants these inputs.
  always @(posedge user_clk)
    if (!user_reset && !(pcie_cq_np_req == 3 && cfg_config_space_enable
        && cfg_link_training_enable && cfg_power_state_change_ack))
      $fatal(1, "inputs that must be tied high");
endmodule
