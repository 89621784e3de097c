"""Passes of graphs, one file each."""

__all__ = ["RUN_BY_HOST_ALWAYS"]

RUN_BY_HOST_ALWAYS = ("quantize", "dequantize", "pack", "unpack", "im2col", "reshape")
"""Operators at the borders of a network, which no machine runs; a reshape moves nothing."""
