"""The names of targets, and what to say of a name that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.config_file import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TARGETS", "wrong_target"]

TARGETS = (
    "sim", "tsim", "pynq", "ultra96", "zcu104", "de10nano", "ulx3s", "tangmega138k", "tangnano20k",
)  # fmt: skip
"""Where a program may run. `sim` is the reference model, `tsim` the simulated RTL, the others are
boards."""

_ENDED = {
    "intelfocl": "was a PCIe card programmed with the Intel FPGA SDK for OpenCL, which Intel has "
    "ended; there is no target for a PCIe card. The board with an Intel FPGA is de10nano, and sim "
    "and tsim run the same programs on any computer",
}
"""Targets of the original VTA that are none here: why, and what there is."""


def wrong_target(what: str, name: object, allowed: Sequence[str] = TARGETS) -> str | None:
    """The text of an error: why ``name`` cannot be the target; None if it can.

    Parameters
    ----------
    what : str
        What names the target, for the text: a key, a variable or an option.
    name : object
        The name that was given.
    allowed : sequence of str
        The names that can be.
    """
    if name in allowed:
        return None
    ended = f"; {name} {_ENDED[name]}" if isinstance(name, str) and name in _ENDED else ""
    return f"{what} is {shown(name)}; must be one of {', '.join(allowed)}{ended}"
