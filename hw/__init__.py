"""The accelerator in Amaranth: every block, and the emitter that writes them as Verilog."""
