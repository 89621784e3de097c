"""The compute module: issue, hazard detection, micro-op sequencing, GEMM, ALU, accumulators."""
