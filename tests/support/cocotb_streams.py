"""The other side of streams and SRAM ports, in cocotb test benches of single blocks."""

import random
from collections.abc import Iterable

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from vta.hw.interfaces import ErrorLayout

CYCLE_NS = 10


class StallGenerator:
    """Ready with this probability in every cycle, drawn from a seed; 1.0 never stalls."""

    def __init__(self, ready_probability: float, seed: str) -> None:
        self.ready_probability = ready_probability
        self.random = random.Random(f"{seed} {ready_probability}")

    def __call__(self) -> bool:
        return self.random.random() < self.ready_probability


async def power_up(dut, **inputs: int) -> None:
    """Start the clock, hold these inputs at these values, reset for three cycles."""
    dut._log.setLevel("WARNING")  # cocotbext-axi tells of every transfer
    cocotb.start_soon(Clock(dut.clk, CYCLE_NS, "ns").start())
    for name, value in inputs.items():
        getattr(dut, name).value = value
    dut.rst.value = 1
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 1)


async def send(dut, stream: str, items: Iterable[int], is_ready: StallGenerator) -> None:
    """Offer items, one after the other; each stays until it is taken."""
    valid, ready, payload = (
        getattr(dut, f"{stream}_{name}") for name in ("valid", "ready", "payload")
    )
    edge = RisingEdge(dut.clk)
    for item in items:
        while not is_ready():
            await edge
        payload.value = item
        valid.value = 1
        await edge
        while not int(ready.value):
            await edge
        valid.value = 0


async def receive(dut, stream: str, into: list[int], is_ready: StallGenerator) -> None:
    """For ever: take items and append them to ``into``."""
    valid, ready, payload = (
        getattr(dut, f"{stream}_{name}") for name in ("valid", "ready", "payload")
    )
    edge = RisingEdge(dut.clk)
    while True:
        accepts = is_ready()
        ready.value = accepts
        await edge
        if accepts and int(valid.value):
            into.append(int(payload.value))


async def until(dut, condition, limit: int = 20_000) -> None:
    """Wait for a condition; fails after ``limit`` cycles."""
    edge = RisingEdge(dut.clk)
    for _ in range(limit):
        if condition():
            return
        await edge
    raise AssertionError(f"not within {limit} cycles")


class Tokens:
    """One token queue beside a module: gives ``count`` tokens in all, takes what is pushed.

    Attributes
    ----------
    popped, pushed : int
        So far.
    """

    def __init__(self, dut, *, available: str, pop: str, push: str) -> None:
        self.clk = dut.clk
        self.available = getattr(dut, f"tokens_{available}")
        self.pop, self.push = getattr(dut, f"tokens_{pop}"), getattr(dut, f"tokens_{push}")
        self.popped = self.pushed = 0

    async def run(self, count: int, is_ready: StallGenerator) -> None:
        """For ever; ``is_ready`` says when the next token comes."""
        given, edge = 0, RisingEdge(self.clk)
        while True:
            if given < count and is_ready():
                given += 1
            self.available.value = given > self.popped
            await edge
            if int(self.pop.value):
                self.popped += 1
                assert self.popped <= given, "a token was taken that is not there"
            self.pushed += int(self.push.value)


def error_at(dut, pin: str = "error") -> tuple[int, int, int]:
    """Code, source and address of an error output."""
    value, fields = int(getattr(dut, pin).value), dict(ErrorLayout())
    return tuple(
        value >> field.offset & ((1 << field.width) - 1)
        for field in (fields["code"], fields["source"], fields["addr"])
    )
