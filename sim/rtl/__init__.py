"""The Verilated RTL (``tsim``): its build, its C++ harness and memory model, its machine."""
