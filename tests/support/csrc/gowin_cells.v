// The cells of Gowin's FPGAs that the board's top module instances.

module IBUF (input I, output O);
  assign O = I;
endmodule

module TBUF (input I, OEN, output O);
  assign O = I & ~OEN;
endmodule
