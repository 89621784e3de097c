"""The bursts of the memory port in a run of the simulated RTL, with the tensors that they move."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vta.memmap import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["INSTRUCTIONS", "Burst", "bursts_of"]

INSTRUCTIONS = "instructions"
"""What fetch reads, in place of the name of a tensor."""


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst. Cycles count from the start of the run.

    Attributes
    ----------
    reader : str
        ``fetch``, ``load``, ``compute``; ``store`` for a write.
    tensor : str
        Of the program; ``micro-ops``, :data:`INSTRUCTIONS`, or ``?`` for an address outside.
    offset : int
        Bytes from the start of the tensor.
    requested, first, last, response : int
        The address, the first and the last beat, and the response of a write; of a read, its last
        beat.
    beats : int
    """

    reader: str
    tensor: str
    offset: int
    requested: int
    first: int
    last: int
    response: int
    beats: int

    @property
    def is_write(self) -> bool:
        return self.reader == "store"


def bursts_of(
    recorded: Any, origin: int, places: Sequence[tuple[int, int, str]]
) -> tuple[Burst, ...]:
    """The bursts of a run.

    Parameters
    ----------
    recorded : ndarray
        As :meth:`vta.sim.rtl.machine.VerilatedMachine.bursts`.
    origin : int
        The cycle of the simulator in which the run starts.
    places : sequence of (int, int, str)
        First address, bytes and name of each tensor, ascending.
    """
    begins = [begin for begin, _, _ in places]

    def tensor(address: int) -> tuple[str, int]:
        number = bisect_right(begins, address) - 1
        if number >= 0:
            begin, size, name = places[number]
            if address < begin + size:
                return name, address - begin
        return "?", address

    found = []
    for address, requested, first, last, response, beats, number, write, *_ in recorded.tolist():
        reader = "store" if write else Source(number).name.lower()
        name, offset = (INSTRUCTIONS, 0) if reader == "fetch" else tensor(address)
        found.append(
            Burst(
                reader, name, offset, requested - origin, first - origin, last - origin,
                response - origin, beats,
            )
        )  # fmt: skip
    return tuple(found)
