"""The reference model: the meaning of the instruction set, executed with NumPy."""
