"""The reference model (the meaning of the instruction set) and the simulated RTL."""
