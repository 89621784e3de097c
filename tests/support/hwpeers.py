"""Behavioural peers for blocks under Amaranth's simulator: streams, memory ports, SRAM ports.

Every peer takes a ``StallGenerator``, which decides in each cycle whether the peer is ready.
"""

import random
from collections import deque
from functools import lru_cache, partial
from types import SimpleNamespace

import numpy as np
from amaranth.hdl import Value
from amaranth.sim import Simulator


class StallGenerator:
    """Ready with this probability in every cycle, drawn from a seed; 1.0 never stalls."""

    def __init__(self, ready_probability: float = 1.0, seed: int = 0) -> None:
        self.ready_probability, self.random = ready_probability, random.Random(seed)

    def __call__(self) -> bool:
        return self.ready_probability >= 1 or self.random.random() < self.ready_probability


class Bench:
    """A block and its simulator, which is compiled once and reset before each run.

    Most of the time of a short simulation is the compilation of the block by Amaranth.

    Parameters
    ----------
    dut : Component
        The block.
    clock : bool
        False for combinational blocks, which have no clock domain.
    """

    def __init__(self, dut, *, clock: bool = True) -> None:
        self.dut, self._clock = dut, clock
        self._simulator: Simulator | None = None
        self._testbenches: tuple = ()

    def run(self, testbench, *peers) -> None:
        """Simulate the block from power-up until ``testbench`` returns, with ``peers`` as
        background testbenches. Each is a coroutine function of one argument, the simulation
        context.
        """
        self._testbenches = (*peers, self._critical(testbench))
        if self._simulator is None or self._slots != len(self._testbenches):
            self._build(len(self._testbenches))
        else:
            self._simulator.reset()
        simulator, self._simulator = self._simulator, None  # none is left if the run fails
        simulator.run()
        self._simulator = simulator

    def _build(self, slots: int) -> None:
        self._slots, self._simulator = slots, Simulator(self.dut)
        if self._clock:
            self._simulator.add_clock(1e-6)
        for slot in range(slots):
            self._simulator.add_testbench(partial(self._play, slot=slot), background=True)

    async def _play(self, ctx, slot: int) -> None:
        """The testbench of a slot, which may be another one in each run."""
        await self._testbenches[slot](ctx)

    @staticmethod
    def _critical(testbench):
        async def run(ctx):
            with ctx.critical():
                await testbench(ctx)

        return run


@lru_cache(maxsize=16)
def bench(block, *args, **options) -> Bench:
    """The :class:`Bench` of ``block(*args, **options)``, shared by the tests of a process."""
    return Bench(block(*args, **options))


def simulate(dut, testbench, *peers, clock: bool = True) -> None:
    """Simulate ``dut`` once, as :meth:`Bench.run` does."""
    Bench(dut, clock=clock).run(testbench, *peers)


async def sample(ctx, **signals) -> SimpleNamespace:
    """Wait for the end of the cycle; the values that ``signals`` had in it, by name."""
    _, _, *values = await ctx.tick().sample(*signals.values())
    return SimpleNamespace(**dict(zip(signals, values)))


READY_PROBABILITIES = {"no stalls": 1.0, "random stalls": 0.5, "full back-pressure": 0.05}
"""Ready probabilities that every test of a stream goes through."""


async def send(ctx, stream, items, is_ready: StallGenerator) -> None:
    """Offer ``items`` (values, or constants of a layout) on a stream; valid stays until taken."""
    for item in items:
        while not is_ready():
            await ctx.tick()
        ctx.set(stream.payload, item)
        ctx.set(stream.valid, 1)
        # not tick().until(): a simulation that ends inside of it complains when it is collected
        while not (await ctx.tick().sample(stream.ready))[-1]:
            pass
        ctx.set(stream.valid, 0)


async def receive(ctx, stream, into: list, is_ready: StallGenerator) -> None:
    """Take items from a stream for ever and append them (as integers) to ``into``."""
    payload = Value.cast(stream.payload)
    while True:
        ready = is_ready()
        ctx.set(stream.ready, ready)
        _, _, valid, value = await ctx.tick().sample(stream.valid, payload)
        if ready and valid:
            into.append(value)


async def serve_reads(
    ctx, port, memory: np.ndarray, is_ready: StallGenerator, log: list | None = None
) -> None:
    """The memory behind a ReadPortSignature; ``memory`` is uint8, index = address.
    Beyond its end everything is 0.

    Appends (addr, beats) of each request to ``log``.
    """
    size = len(port.beat.payload) // 8
    beats: deque[int] = deque()
    offered = False
    while True:
        ready = is_ready()
        ctx.set(port.request.ready, ready)
        if not offered and beats and is_ready():
            ctx.set(port.beat.payload, beats[0])
            ctx.set(port.beat.valid, 1)
            offered = True
        _, _, asked, addr, count, taken = await ctx.tick().sample(
            port.request.valid,
            port.request.payload.addr,
            port.request.payload.beats,
            port.beat.ready,
        )
        if offered and taken:
            beats.popleft()
            offered = False
            ctx.set(port.beat.valid, 0)
        if asked and ready:
            assert addr % size == 0 and count >= 1, (addr, count)
            if log is not None:
                log.append((addr, count))
            for at in range(addr, addr + count * size, size):
                beats.append(int.from_bytes(memory[at : at + size], "little"))


async def hold_writes(ctx, port, memory: np.ndarray, count: list | None = None) -> None:
    """The SRAM behind a SramWriteSignature: ``memory`` is uint8 of shape (depth, bytes).

    Appends the address of each write to ``count``.
    """
    lane_bytes = memory.shape[1] // len(port.mask)
    while True:
        _, _, addr, data, mask = await ctx.tick().sample(port.addr, port.data, port.mask)
        if mask and count is not None:
            count.append(addr)
        for lane in range(len(port.mask)):
            if mask >> lane & 1:
                low = lane * lane_bytes
                value = data >> (8 * low) & ((1 << 8 * lane_bytes) - 1)
                memory[addr, low : low + lane_bytes] = np.frombuffer(
                    value.to_bytes(lane_bytes, "little"), np.uint8
                )
