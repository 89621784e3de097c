"""The names of targets, and what to say of a name that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.config_file import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TARGETS", "how_configured", "wrong_target"]

TARGETS = (
    "sim", "tsim", "pynq", "ultra96", "zcu104", "de10nano", "ulx3s", "tangmega138k", "tangnano20k",
    "pcie",
)  # fmt: skip
"""Where a program may run. `sim` is the reference model, `tsim` the simulated RTL, `pcie` a card
in this computer, the others are boards."""

_ENDED = {
    "intelfocl": "was a PCIe card programmed with the Intel FPGA SDK for OpenCL, which Intel has "
    "ended; a card in a PC, with an AMD UltraScale+ FPGA, is the target pcie (docs/boards/pcie.md)."
    " The board with an Intel FPGA is de10nano, and sim and tsim run the same programs on any "
    "computer",
}
"""Targets of the original VTA that are none here: why, and what there is."""


def how_configured(target: str) -> str:
    """How the FPGA of a target gets its design, if the target's driver does not configure it."""
    if target == "pcie":
        return (
            "over JTAG, as by openFPGALoader or Vivado; then the computer must scan its bus again "
            "(docs/boards/pcie.md)"
        )
    return "by the board's own programmer"


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
