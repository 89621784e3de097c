"""What Verilog text must not hold, whatever design it is of."""

import re

__all__ = ["constant_blocks"]

_BLOCK = re.compile(r"always @\*\n    (\S+) = ([^;]*);")
_CONSTANT = re.compile(r"[{} ,]|\d+'[hbd][0-9a-fx]+")


def constant_blocks(text: str) -> list[str]:
    """What is given a constant by a combinational block of its own: no event ever starts such a
    block, so that simulators leave the value as it is. Yosys writes them for a signal of which a
    part is constant and a part is assigned under conditions."""
    return [name for name, value in _BLOCK.findall(text) if not _CONSTANT.sub("", value)]
