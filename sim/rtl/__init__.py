"""The Verilated RTL (``tsim``): its build, its C++ harness with the memory model, and the machine that runs programs on it."""
