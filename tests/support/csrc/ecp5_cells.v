// The cells of the ECP5 that the board's top module instances, as far as its behaviour needs them.
// The PLL passes its clock on: frequencies are not simulated.

module EHXPLLL #(
    parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 8, CLKOP_CPHASE = 0, CLKOP_FPHASE = 0,
    parameter CLKOP_ENABLE = "ENABLED", FEEDBK_PATH = "CLKOP", PLLRST_ENA = "DISABLED",
    parameter INTFB_WAKE = "DISABLED", STDBY_ENABLE = "DISABLED", DPHASE_SOURCE = "DISABLED",
    parameter OUTDIVIDER_MUXA = "DIVA", OUTDIVIDER_MUXB = "DIVB", OUTDIVIDER_MUXC = "DIVC",
    parameter OUTDIVIDER_MUXD = "DIVD"
) (
    input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG,
    input PLLWAKESYNC, ENCLKOP,
    output CLKOP, LOCK
);
  reg [4:0] settled = 0;
  assign CLKOP = CLKI;
  assign LOCK = settled[4];
  always @(posedge CLKI) if (!settled[4]) settled <= settled + 1;
endmodule

module IB (input I, output O);
  assign O = I;
endmodule

module OBZ (input I, T, output O);
  assign O = I & ~T;
endmodule
