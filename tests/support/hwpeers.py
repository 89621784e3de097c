"""Behavioural peers for blocks under Amaranth's simulator: streams, memory ports, SRAM ports.

Every peer takes a ``StallGenerator``, which decides in each cycle whether the peer is ready.
"""

import random
from collections import deque
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


def simulate(dut, testbench, *peers, clock: bool = True) -> None:
    """Simulate ``dut`` until ``testbench`` returns, with ``peers`` as background testbenches.

    Each is a coroutine function of one argument, the simulation context. ``clock=False`` is for
    combinational blocks, which have no clock domain.
    """
    simulator = Simulator(dut)
    if clock:
        simulator.add_clock(1e-6)
    for peer in peers:
        simulator.add_testbench(peer, background=True)
    simulator.add_testbench(testbench)
    simulator.run()


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
