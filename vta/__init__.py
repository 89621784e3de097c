"""VTA: the Versatile Tensor Accelerator, from a scheduled tensor program to simulated hardware."""
