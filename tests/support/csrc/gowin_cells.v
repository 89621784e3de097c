// The cells of Gowin's FPGAs that the board's top module instances, as far as its behaviour needs
// them.

module IBUF (input I, output O);
  assign O = I;
endmodule

module TBUF (input I, OEN, output O);
  assign O = I & ~OEN;
endmodule
