"""The core with a wire for each of its stalls: for builds that measure what tests have reached.

:data:`STALLS` says what is looked at: a bit that is high in every cycle in which somebody has to
wait, and for what.
"""

from collections.abc import Callable

from amaranth.hdl import Cat, Module, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from vta.config import VTAConfig
from vta.hw.compute.issue_request import ExecutionUnit, IssueRequest
from vta.hw.compute.scoreboard import EntryLayout, Scoreboard
from vta.hw.core import Core
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.interfaces import layout_of
from vta.isa import Isa, PipelineModule
from vta.memmap import Source

__all__ = ["STALLS", "ObservedCore"]

SCOREBOARD = "compute.issue.scoreboard"
UNITS = (ExecutionUnit.LOAD, ExecutionUnit.GEMM, ExecutionUnit.ALU)


class ProbeContext:
    """What the functions of :data:`STALLS` look at.

    Attributes
    ----------
    bus : AXI4Signature
        The memory port.
    at : SignalPaths
        The signals inside the core, by path.
    isa : Isa
    """

    def __init__(self, core: Core, inside: SignalPaths) -> None:
        self.bus, self.at, self.isa = core.m_axi, inside, Isa.of(core.cfg)

    def head(self, module: str):
        """The instruction that ``module`` is to begin, as a LOAD, if ``valid``."""
        if module == "compute":
            word, valid = self.next().insn, self.at[f"{SCOREBOARD}.next_valid"]
        else:
            word, valid = self.at[f"fetch.{module}__payload"], self.at[f"fetch.{module}__valid"]
        return data.View(layout_of(self.isa.memory), word), valid

    def next(self):
        """The instruction of the compute module that starts next, and what it touches."""
        return data.View(IssueRequest(self.isa), self.at[f"{SCOREBOARD}.next"])

    def entries(self):
        """The instructions of the compute module that are under way, the oldest first."""
        layout = EntryLayout(self.isa)
        return [
            data.View(layout, self.at[f"{SCOREBOARD}.entry{n}"]) for n in range(Scoreboard.DEPTH)
        ]


def refused(channel: str):
    """The other side of a bus channel does not take what is offered."""
    return lambda s: getattr(s.bus, f"{channel}valid") & ~getattr(s.bus, f"{channel}ready")


def under_way(source: Source):
    """A reader has asked for as much as it may."""
    reader = f"reads.reader{source}"
    return lambda s: s.at[f"{reader}.skid.o__valid"] & ~s.at[f"{reader}.allowed"]


def not_taken(source: Source):
    """Beats for a reader stop those of the others."""
    return lambda s: refused("r")(s) & (s.bus.rid == source)


def full(stage: PipelineModule):
    """Fetch waits for room in the queue of a module."""
    return lambda s: s.at["fetch.blocked"] & (s.at["fetch.stage"] == stage)


def empty(module: str):
    """A module has nothing to do, although there is more to come."""
    return lambda s: s.at["fetch.busy"] & ~s.at[f"fetch.{module}__valid"]


def unready(wants: str, ready: str):
    """Somebody wants to go on, and something is not ready."""
    return lambda s: s.at[wants] & ~s.at[ready]


def no_token(module: str, prev: str | None = None, next: str | None = None):
    """The instruction at the head waits for tokens, of one side or (with both) of two at once."""

    def stall(s: ProbeContext) -> ValueLike:
        insn, waits = s.head(module)
        for pops, queue in ((insn.pop_prev, prev), (insn.pop_next, next)):
            if queue is not None:
                waits = waits & pops & (s.at[f"tokens.{queue}"] == 0)
        return waits

    return stall


def board_full(s: ProbeContext) -> ValueLike:
    """The next instruction of the compute module finds as many under way as there may be."""
    return s.head("compute")[1] & s.entries()[-1].valid


def conflicts(new, old):
    """The next instruction has a hazard with one in flight on another :class:`ExecutionUnit`."""

    def stall(s: ProbeContext) -> ValueLike:
        waits = s.at[f"{SCOREBOARD}.dependencies"] & Cat(one.unit == old for one in s.entries())
        return s.at[f"{SCOREBOARD}.next_valid"] & (s.next().unit == new) & waits.any()

    return stall


def alu_waits(**ready: bool):
    """A micro-op of the ALU waits while GEMM has the bank of an operand, or while it has none: for
    its second operand, or for a result."""

    def stall(s: ProbeContext) -> ValueLike:
        waits = unready(
            "compute.alu.pipeline.hazards.current_valid", "compute.alu.pipeline.hazards.uop__ready"
        )(s)
        for operand, wanted in ready.items():
            busy = s.at[f"compute.accumulators.alu_{operand}_reserved"]
            tile = s.at[f"compute.alu.pipeline.{operand}_read__addr"]
            free = ~busy.bit_select(tile[: len(busy).bit_length() - 1], 1)
            waits = waits & (free if wanted else ~free)
        return waits

    return stall


STALLS: dict[str, dict[str, Callable[[ProbeContext], ValueLike]]] = {
    "bus": {
        "AR refused": refused("ar"),
        "R refused": refused("r"),
        "AW refused": refused("aw"),
        "W refused": refused("w"),
        "R full of beats for load": not_taken(Source.LOAD),
        "R full of beats for compute": not_taken(Source.COMPUTE),
        "load has asked for as much as it may": under_way(Source.LOAD),
        "compute has asked for as much as it may": under_way(Source.COMPUTE),
        "AW waits for W": unready("writes.splitter.burst__valid", "writes.lengths.w_rdy"),
        "AW waits for B": unready("writes.splitter.burst__valid", "writes.answers.w_rdy"),
    },
    "queues": {
        **{f"{each.name.lower()} full": full(each) for each in PipelineModule},
        **{f"{each.name.lower()} empty": empty(each.name.lower()) for each in PipelineModule},
        "load has enough instructions": unready("fetch.load__valid", "load.in_flight.w_rdy"),
        "store has enough instructions": unready("fetch.store__valid", "store.in_flight.w_rdy"),
        "load has enough rows": unready(
            "load.engine.generator.row__valid", "load.engine.rows.w_rdy"),
        "compute has enough rows": unready(
            "compute.loader.generator.row__valid", "compute.loader.rows.w_rdy"),
        "store has enough rows": unready("store.generator.row__valid", "store.rows.w_rdy"),
    },
    "tokens": {
        "load waits for g2l": no_token("load", next="g2l"),
        "compute waits for l2g": no_token("compute", prev="l2g"),
        "compute waits for s2g": no_token("compute", next="s2g"),
        "compute waits for both": no_token("compute", prev="l2g", next="s2g"),
        "store waits for g2s": no_token("store", prev="g2s"),
    },
    "data": {
        "fetch waits for R": unready("fetch.busy", "fetch.reader.buffer.r_rdy"),
        "load waits for R": unready("load.engine.busy", "reads.reader1.beats.r_rdy"),
        "compute waits for R": unready("compute.loader.busy", "reads.reader2.beats.r_rdy"),
        "store waits for W": unready("store.reader.beat__valid", "writes.port__beat__ready"),
        "W waits for store": unready("writes.lengths.r_rdy", "store.reader.beat__valid"),
        "store waits for B": lambda s: (
            s.at["writes.answers.r_rdy"] & ~s.bus.bvalid & ~s.at["writes.lengths.r_rdy"]
        ),
    },
    "compute": {
        "enough instructions under way": board_full,
        "done before an older one": lambda s: Cat(
            one.valid & ~one.executing for one in s.entries()[1:]
        ).any() & s.entries()[0].executing,
        **{
            f"{new.name} waits for {old.name}": conflicts(new, old)
            for new in UNITS for old in UNITS if new is not old
        },
        "GEMM queue full": unready("compute.issue.gemm__valid", "compute.gemm_queue.w_rdy"),
        "ALU queue full": unready("compute.issue.alu__valid", "compute.alu_queue.w_rdy"),
        "GEMM waits for micro-ops": unready(
            "compute.gemm.sequencer.required", "compute.gemm.sequencer.buffer.hit"),
        "ALU waits for micro-ops": unready(
            "compute.alu.sequencer.required", "compute.alu.sequencer.buffer.hit"),
        "the scan waits for its port": unready(
            "compute.issue.access_ranges.uop_bounds.read__en", "compute.uops.read__2__ready"),
        "ALU waits for the bank of dst": alu_waits(dst=False),
        "ALU waits for the bank of src": alu_waits(src=False),
        "ALU waits for both banks": alu_waits(dst=False, src=False),
        "ALU waits for itself": alu_waits(dst=True, src=True),
        "LOAD waits for a bank": lambda s: s.at["compute.accumulators.load_stall"],
    },
}  # fmt: skip
"""What is looked at, by group and name."""


class ObservedCore(wiring.Component):
    """A core with one more output.

    Parameters
    ----------
    cfg, paired
        As of :class:`~vta.hw.core.Core`.

    Attributes
    ----------
    m_axi, s_axi, irq
        As of the core.
    stalls : out
        A bit for each of :data:`STALLS`, in their order, the first in the lowest.
    """

    NAMES = tuple(f"{group}: {name}" for group, names in STALLS.items() for name in names)
    """Of the bits."""

    def __init__(self, cfg: VTAConfig, *, paired: bool = False) -> None:
        self.core = Core(cfg, paired=paired)
        super().__init__({**self.core.signature.members, "stalls": Out(len(self.NAMES))})

    def elaborate(self, platform):
        m = Module()
        inside = SignalPaths(self.core)
        m.submodules.core = inside.fragment
        wiring.connect(m, self.core.m_axi, wiring.flipped(self.m_axi))
        wiring.connect(m, wiring.flipped(self.s_axi), self.core.s_axi)
        sight = ProbeContext(self.core, inside)
        looks = [look for names in STALLS.values() for look in names.values()]
        m.d.comb += [
            self.irq.eq(self.core.irq),
            self.stalls.eq(Cat(look(sight) for look in looks)),
        ]
        return m
