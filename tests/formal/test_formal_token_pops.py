"""Tokens: no module pops a token that is not available, and each issue and each retirement moves
the tokens of its own instruction."""

import pytest
from amaranth.hdl import Assert, Assume, Cover, Signal
from amaranth.lib.data import View

from tests.formal.any_access_ranges import CFG, ISA, AnyAccessRanges
from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, prove, reach, refute
from vta.hw.compute import issue
from vta.hw.compute.issue_request import IssueRequest
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.dma import load, store
from vta.hw.dma.rows import MemoryKind
from vta.hw.interfaces import layout_of
from vta.isa import Isa, MemId


class ComputeTokens(Properties):
    """A token is popped if it is available, by the instruction that issues, if that pops it; a
    token is pushed only in the cycle of a retirement. An available token stays available until it
    is popped."""

    def __init__(self, module=issue):
        module = shrunk(module, AccessRanges=AnyAccessRanges)
        super().__init__(module.Issue(ISA), AnyAccessRanges.free())

    def elaborate(self, platform):
        tokens = self.block.tokens
        registers = SignalPaths(self.block)
        m = super().elaborate(platform, registers.fragment)
        request = View(IssueRequest(ISA), registers["scoreboard.next"])
        insn = View(layout_of(ISA.memory), request.insn)
        next_valid, issues = registers["scoreboard.next_valid"], registers["issued"]
        m.d.comb += Assert(~issues | next_valid)
        for side in ("prev", "next"):
            pop, push = getattr(tokens, f"pop_{side}"), getattr(tokens, f"push_{side}")
            available, stays = getattr(tokens, f"{side}_avail"), Signal(name=f"{side}_stays")
            m.d.sync += stays.eq(available & ~pop)
            m.d.comb += [
                Assume(~stays | available),
                Assert(~pop | available),
                Assert(~(next_valid & registers[f"{side}_available"]) | stays),
                Assert(pop == (issues & getattr(insn, f"pop_{side}"))),
                Assert(~push | self.block.retired),
                Cover(pop & push),
            ]
        return m


class DmaTokens(Properties):
    """The load and the store module pop a token only if it is available."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        tokens = self.block.tokens
        m.d.comb += [
            Assert(~tokens.pop_prev | tokens.prev_avail),
            Assert(~tokens.pop_next | tokens.next_avail),
            Cover(tokens.pop_prev | tokens.pop_next),
        ]
        return m


def load_tokens(module=load):
    kinds = [MemoryKind.of(CFG, memory) for memory in (MemId.INP, MemId.WGT)]
    return DmaTokens(module.LoadModule(ISA, kinds, addr_bits=32, data_bits=64))


def shared_load_tokens(module=load):
    """Of a load module without an engine of its own."""
    kinds = [MemoryKind.of(CFG, memory) for memory in (MemId.INP, MemId.WGT)]
    isa = Isa.of(CFG.replace(load_engines=1))
    return DmaTokens(module.LoadModule(isa, kinds, addr_bits=32, data_bits=64))


def store_tokens(module=store):
    kind = MemoryKind.of(CFG, MemId.OUT)
    return DmaTokens(module.StoreModule(ISA, [kind], addr_bits=32, data_bits=64))


@pytest.mark.formal
@pytest.mark.parametrize(
    "properties", [ComputeTokens, load_tokens, shared_load_tokens, store_tokens]
)
def test_no_token_is_popped_that_is_not_available(properties):
    prove(properties(), depth=1)
    reach(properties(), depth=7)


BROKEN = {
    "next-not-waited-for": (issue, ComputeTokens, "(~insn.pop_next | next_available)", "1"),
    "popped-before-issue": (
        issue, ComputeTokens,
        "tokens.pop_prev.eq(issued & insn", "tokens.pop_prev.eq(issue_valid & insn",
    ),
    "pushed-too-often": (
        issue, ComputeTokens,
        "tokens.push_prev.eq(scoreboard.retire & scoreboard", "tokens.push_prev.eq(scoreboard",
    ),
    "available-for-ever": (
        issue, ComputeTokens,
        "next_available.eq(tokens", "next_available.eq(next_available | tokens",
    ),
    "load-does-not-wait": (load, load_tokens, "insn.pop_next & ~self.tokens.next_avail", "0"),
    "shared-load-does-not-wait": (
        load, shared_load_tokens, "insn.pop_next & ~self.tokens.next_avail", "0",
    ),
    "store-pops-early": (
        store, store_tokens,
        "self.tokens.pop_prev.eq(issue &", "self.tokens.pop_prev.eq(",
    ),
}  # fmt: skip
"""Name: (module, properties that find the fault, source text, what it becomes)."""


@pytest.mark.formal
@pytest.mark.parametrize("name", BROKEN)
def test_faults_are_found(name):
    module, properties, old, new = BROKEN[name]
    refute(properties(mutant(module, old, new)), depth=8)
