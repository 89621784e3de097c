"""What cocotb test benches put around a port: a memory that can refuse, stalls, a watch."""

import itertools
import random

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiResp


class Dram:
    """The memory behind a cocotbext-axi slave (its ``target``): regions of bytes.

    Whatever is outside of them is answered with DECERR, what :meth:`refuse` names with the answer
    given there. The slave knows only SLVERR: :func:`say_which_error` puts in the other answer.

    Attributes
    ----------
    answers : dict of str to AxiResp
        What the last access that failed is to be answered with, ``rresp`` and ``bresp``.
    """

    def __init__(self, **regions: tuple[int, bytes]) -> None:
        self.regions = {base: bytearray(data) for base, data in regions.values()}
        self.refused: list[tuple[range, AxiResp]] = []
        self.answers = {"rresp": AxiResp.OKAY, "bresp": AxiResp.OKAY}

    def refuse(self, addresses: range, answer: AxiResp) -> None:
        """Answer accesses that touch these addresses so, and do not carry them out."""
        self.refused.append((addresses, answer))

    def __getitem__(self, where: slice) -> bytes:
        """The bytes from one address up to another, of one region."""
        data, offset = self._find(where.start, where.stop - where.start)
        return bytes(data[offset : offset + where.stop - where.start])

    def __setitem__(self, addr: int, value: bytes) -> None:
        data, offset = self._find(addr, len(value))
        data[offset : offset + len(value)] = value

    def _find(self, addr: int, length: int) -> tuple[bytearray, int]:
        for base, data in self.regions.items():
            if base <= addr and addr + length <= base + len(data):
                return data, addr - base
        raise LookupError(f"nothing is at 0x{addr:x}")

    # ---- what the slave calls ---------------------------------------------------------------

    async def read(self, addr: int, length: int) -> bytes:
        self._check(addr, length, "rresp")
        return self[addr : addr + length]

    async def write(self, addr: int, data: bytes) -> None:
        self._check(addr, len(data), "bresp")
        self[addr] = data

    def _check(self, addr: int, length: int, field: str) -> None:
        for addresses, answer in self.refused:
            if addresses.start < addr + length and addr < addresses.stop:
                self.answers[field] = answer
                raise LookupError(f"0x{addr:x} is refused")
        try:
            self._find(addr, length)
        except LookupError:
            self.answers[field] = AxiResp.DECERR
            raise


def say_which_error(side) -> None:
    """Let the read or the write side of a slave answer as its target, a :class:`Dram`, says."""
    reads = hasattr(side, "r_channel")
    channel, field = (side.r_channel, "rresp") if reads else (side.b_channel, "bresp")
    send = channel.send

    async def answering(beat) -> None:
        if getattr(beat, field) != AxiResp.OKAY:
            setattr(beat, field, side.target.answers[field])
        await send(beat)

    channel.send = answering


def stall(probability: float, seed: str, *channels) -> None:
    """Pause each channel at random, in this share of the cycles; 0 does not pause them."""
    for number, channel in enumerate(channels):
        rng = random.Random(f"{seed}.{number}")
        pauses = (rng.random() < probability for _ in itertools.count())
        channel.set_pause_generator(pauses if probability else None)
        channel.pause = False


async def watch_handshake(
    dut, prefix: str, channel: str, fields: tuple[str, ...], clock=None
) -> None:
    """For ever: what is offered on a channel stays, unchanged, until it is taken or reset.

    A bench starts it with ``cocotb.start_soon``; when it raises, the test fails. The clock is
    ``dut.clk`` if none is given.
    """

    def pin(name: str):
        return getattr(dut, f"{prefix}{channel}{name}")

    valid, ready, payload = pin("valid"), pin("ready"), [pin(name) for name in fields]
    edge, held = RisingEdge(dut.clk if clock is None else clock), None
    while True:
        await edge
        offered = int(valid.value)
        values = [int(each.value) for each in payload] if offered else None
        if held is not None:
            assert values == held, f"{channel}: {held} was not taken and became {values}"
        held = values if offered and not int(ready.value) and not int(dut.rst.value) else None


MASTER_FIELDS = {
    "ar": ("addr", "len", "size", "burst", "id"),
    "aw": ("addr", "len", "size", "burst", "id"),
    "w": ("data", "strb", "last"),
}
"""What must not change on the channels that a memory master drives."""


def watch_master(dut, prefix: str, *channels: str, clock=None) -> None:
    """Start :func:`watch_handshake` on channels of a memory master, all of them by default."""
    for channel in channels or MASTER_FIELDS:
        cocotb.start_soon(watch_handshake(dut, prefix, channel, MASTER_FIELDS[channel], clock))
