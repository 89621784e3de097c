"""Passes of graphs, one file each."""

__all__ = ["RUN_BY_HOST_ALWAYS"]

RUN_BY_HOST_ALWAYS = (
    "quantize",
    "dequantize",
    "pack",
    "unpack",
    "pack_rows",
    "unpack_rows",
    "pack_columns",
    "depth_blocks",
    "im2col",
    "reshape",
    "recode",
)
"""Operators at the borders of a network, which no machine runs: between real numbers and integers,
between layouts, between uint8 and int8. A reshape moves nothing."""
