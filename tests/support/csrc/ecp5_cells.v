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

module ODDRX1F (input D0, D1, SCLK, RST, output Q);
  assign Q = SCLK ? D0 : D1;
endmodule

module OFS1P3BX (input D, PD, SCLK, SP, output reg Q);
  always @(posedge SCLK) if (SP) Q <= D;
endmodule

module IFS1P3BX (input D, PD, SCLK, SP, output reg Q);
  always @(posedge SCLK) if (SP) Q <= D;
endmodule

module TRELLIS_IO #(parameter DIR = "INPUT") (inout B, input I, T, output O);
  assign B = T ? 1'bz : I;
  assign O = B;
endmodule

module FD1S3BX (input D, PD, CK, output reg Q);
  always @(posedge CK or posedge PD) if (PD) Q <= 1; else Q <= D;
endmodule

module FD1S3AX (input D, CK, output reg Q);
  always @(posedge CK) Q <= D;
endmodule

module OFS1P3DX (input D, CD, SCLK, SP, output reg Q);
  always @(posedge SCLK or posedge CD) if (CD) Q <= 0; else if (SP) Q <= D;
endmodule
