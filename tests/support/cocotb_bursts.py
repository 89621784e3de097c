"""The core's memory port in cocotb test benches of what is behind it: bursts within a block of 128
bytes, many outstanding, each channel with stalls."""

import cocotb
from cocotb.queue import Queue
from cocotbext.axi import AxiBus, AxiResp
from cocotbext.axi.axi_channels import AxiARSource, AxiAWSource, AxiBSink, AxiRSink, AxiWSource

from tests.support.cocotb_bus import stall, watch_handshake

__all__ = ["BEAT", "BEATS", "BLOCK", "Core", "random_run", "random_span"]

BEAT, BLOCK = 16, 128
BEATS = BLOCK // BEAT


class Core:
    """The core's memory port: bursts within a block, many outstanding, answered in order."""

    def __init__(self, dut) -> None:
        bus, args = AxiBus.from_prefix(dut, "axi"), (dut.user_clk, dut.user_reset)
        self.aw, self.w = AxiAWSource(bus.write.aw, *args), AxiWSource(bus.write.w, *args)
        self.b = AxiBSink(bus.write.b, *args)
        self.ar, self.r = AxiARSource(bus.read.ar, *args), AxiRSink(bus.read.r, *args)
        self.writes, self.reads = [], []  # what waits for its answer: (ID, [beats,] answer)
        for channel, fields in {"b": ("id", "resp"), "r": ("id", "data", "resp", "last")}.items():
            cocotb.start_soon(watch_handshake(_Port(dut), "axi_", channel, fields, dut.user_clk))
        cocotb.start_soon(self._take_b())
        cocotb.start_soon(self._take_r())

    def stall(self, probability: float) -> None:
        stall(probability, f"core.{probability}", self.aw, self.w, self.b, self.ar, self.r)

    async def write(self, addr: int, content: bytes, strobes: int, ident: int = 0) -> AxiResp:
        """One burst of whole beats; ``strobes`` has a bit for each byte."""
        assert addr % BEAT == 0 and addr % BLOCK + len(content) <= BLOCK
        beats, answer = len(content) // BEAT, Queue()
        self.writes.append((ident, answer))
        self.aw.send_nowait(self.aw._transaction_obj(
            awid=ident, awaddr=addr, awlen=beats - 1, awsize=4, awburst=1
        ))  # fmt: skip
        for number in range(beats):
            part = content[number * BEAT : (number + 1) * BEAT]
            self.w.send_nowait(self.w._transaction_obj(
                wdata=int.from_bytes(part, "little"), wstrb=strobes >> number * BEAT & 0xFFFF,
                wlast=number == beats - 1,
            ))  # fmt: skip
        return await answer.get()

    async def read(self, addr: int, beats: int, ident: int = 0) -> tuple[bytes, set[AxiResp]]:
        """One burst: the bytes, and the responses that its beats got."""
        assert addr % BEAT == 0 and addr % BLOCK + beats * BEAT <= BLOCK
        answer = Queue()
        self.reads.append((ident, beats, answer))
        self.ar.send_nowait(self.ar._transaction_obj(
            arid=ident, araddr=addr, arlen=beats - 1, arsize=4, arburst=1
        ))  # fmt: skip
        return await answer.get()

    async def _take_b(self) -> None:
        while True:
            beat = await self.b.recv()
            ident, answer = self.writes.pop(0)
            assert int(beat.bid) == ident
            answer.put_nowait(AxiResp(int(beat.bresp)))

    async def _take_r(self) -> None:
        while True:
            beats = [await self.r.recv()]
            ident, count, answer = self.reads.pop(0)
            beats += [await self.r.recv() for _ in range(count - 1)]
            assert [int(beat.rlast) for beat in beats] == [*[0] * (count - 1), 1]
            assert {int(beat.rid) for beat in beats} == {ident}
            content = b"".join(int(beat.rdata).to_bytes(BEAT, "little") for beat in beats)
            answer.put_nowait((content, {AxiResp(int(beat.rresp)) for beat in beats}))


class _Port:
    """A top whose reset has the name that :func:`watch_handshake` knows."""

    def __init__(self, dut) -> None:
        self.dut, self.rst = dut, dut.user_reset

    def __getattr__(self, name: str):
        return getattr(self.dut, name)


def random_span(rng) -> tuple[int, int]:
    """First beat and beats of a burst within a block."""
    if rng.random() < 0.4:
        return 0, BEATS
    beat = rng.randrange(BEATS)
    return beat, rng.randint(1, BEATS - beat)


def random_run(rng, length: int) -> tuple[int, int]:
    """First and end of the enabled bytes: all of them, some, few, or none."""
    kind = rng.random()
    if kind < 0.3:
        return 0, length
    begin = rng.randrange(length)
    if kind < 0.6:
        return begin, min(length, begin + rng.randrange(6))
    return begin, rng.randint(begin, length)
