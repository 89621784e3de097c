"""The load engine of two modules: requests reach the engine unchanged, one at a time, in turns, and
completions go back to the module whose request it was.

The engine itself is free: it accepts requests and ends them at any time, in order."""

import pytest
from amaranth.hdl import Array, Assert, Assume, Cover, Module, Mux, Signal

from tests.formal.any_access_ranges import CFG, ISA
from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, prove, reach, refute
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.dma import shared_load
from vta.hw.dma.load import LoadEngine
from vta.hw.dma.rows import MemoryKind
from vta.isa import MemId

FIRST, SECOND = (MemId.INP, MemId.WGT), (MemId.UOP, MemId.ACC)
IN_FLIGHT = 3


class AnyEngine(LoadEngine):
    """The ports of a load engine without an engine: its outputs have any value."""

    def elaborate(self, platform):
        return Module()


class Requests(Properties):
    """The engine has up to :data:`IN_FLIGHT` requests; the owner of each is kept beside it."""

    def __init__(self, module=shared_load) -> None:
        module = shrunk(module, LoadEngine=AnyEngine)
        kinds = [[MemoryKind.of(CFG, memory) for memory in side] for side in (FIRST, SECOND)]
        block = module.SharedLoadEngine(ISA, *kinds, addr_bits=32, data_bits=64)
        engine = block.engine
        self.engine = engine
        super().__init__(
            block, (engine.request.ready, engine.done, engine.done_kind, engine.read_kind)
        )

    def elaborate(self, platform):
        registers = SignalPaths(self.block)
        m = super().elaborate(platform, registers.fragment)
        block, engine = self.block, self.engine
        count = Signal(range(IN_FLIGHT + 1))
        owners = Array(Signal(name=f"owner{n}") for n in range(IN_FLIGHT))
        accepted = engine.request.valid & engine.request.ready
        taken = [port.valid & port.ready for port in (block.first, block.second)]
        of_second = engine.done_kind >= len(FIRST)
        m.d.comb += [
            # The engine: requests end in order, not before they were accepted, as their memory.
            Assume(~engine.done | ((count != 0) & (owners[0] == of_second))),
            Assume(~engine.request.ready | (count < IN_FLIGHT)),
            Assume((engine.done_kind < 4) & (engine.read_kind < 4)),
            # One request at a time, unchanged.
            Assert(accepted == (taken[0] | taken[1])),
            Assert(~(taken[0] & taken[1])),
            Assert(
                ~taken[0] | (engine.request.payload.as_value() == block.first.payload.as_value())
            ),
            Assert(
                ~taken[1] | (engine.request.payload.as_value() == block.second.payload.as_value())
            ),
            # Completions.
            Assert(block.first_done == (engine.done & (owners[0] == 0))),
            Assert(block.second_done == (engine.done & (owners[0] == 1))),
            Assert(block.read_second == (engine.read_kind >= len(FIRST))),
            Cover(block.first_done & taken[1]),
            Cover(block.second_done & taken[0]),
        ]
        with m.If(engine.done):
            m.d.sync += [owners[n].eq(owners[n + 1]) for n in range(IN_FLIGHT - 1)]
        with m.If(accepted):
            m.d.sync += owners[count - engine.done].eq(taken[1])
        m.d.sync += count.eq(count + accepted - engine.done)
        # Turns: a port that offers a request sees at most one of the other port go before.
        for number, port in enumerate((block.first, block.second)):
            passed = Signal(2, name=f"passed{number}")
            waits = port.valid & ~port.ready
            m.d.sync += passed.eq(Mux(waits, passed + taken[1 - number], 0))
            m.d.comb += [
                Assert(passed < 2),
                Assert((passed == 0) | (registers["second_turn"] == number)),
                Cover((passed == 1) & taken[number]),
            ]
        return m


@pytest.mark.formal
def test_requests_and_completions():
    prove(Requests(), depth=3)
    reach(Requests(), depth=6)


BROKEN = {
    "wrong-instruction": ("grant_second, self.second.payload", "second_turn, self.second.payload"),
    "both-accepted": ("engine.request.ready & ~grant_second", "engine.request.ready"),
    "first-always-first": ("second_turn | ~self.first.valid", "~self.first.valid"),
    "no-turns": ("second_turn.eq(~grant_second)", "second_turn.eq(1)"),
    "lost": ("self.first.valid | self.second.valid", "self.first.valid"),
    "done-to-both": ("engine.done & ~done_second", "engine.done"),
    "wrong-half": ("engine.done_kind >= self.split", "engine.done_kind > self.split"),
    "wrong-reader": ("engine.read_kind >= self.split", "engine.read_kind > self.split"),
}
"""Name: (source text, what it becomes)."""


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN)
def test_faults_are_found(name):
    refute(Requests(mutant(shared_load, *BROKEN[name])), depth=6)
