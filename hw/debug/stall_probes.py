"""The core with an output for each kind of stall: for builds that measure the coverage of tests.

:data:`STALLS` is the list of probes: each is high in every cycle in which the named unit stalls for
the named reason.
"""

from collections.abc import Callable
from typing import ClassVar

from amaranth.hdl import Cat, Module, ValueLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from vta.config import VTAConfig
from vta.hw.compute.issue_request import ExecutionUnit, IssueRequest
from vta.hw.compute.scoreboard import EntryLayout
from vta.hw.core import Core
from vta.hw.debug.signal_paths import SignalPaths
from vta.hw.interfaces import layout_of
from vta.isa import Isa, PipelineModule
from vta.memmap import Source

__all__ = ["STALLS", "ObservedCore"]

SCOREBOARD = "compute.issue.scoreboard"
UNITS = (ExecutionUnit.LOAD, ExecutionUnit.GEMM, ExecutionUnit.ALU)


class ProbeContext:
    """The inputs of the probes.

    Attributes
    ----------
    bus : AXISignature
        The memory port.
    at : SignalPaths
        The signals inside the core, by path.
    isa : Isa
        Instruction set.
    """

    def __init__(self, core: Core, paths: SignalPaths) -> None:
        self.bus, self.at, self.isa = core.m_axi, paths, Isa.of(core.cfg)

    def loads(self, module: str, signal: str):
        """A signal of the load engine of ``module``, or of the one that the modules share."""
        if self.isa.cfg.load_engines == 1:
            return self.at[f"compute.loader.engine.{signal}"]
        engine = {"load": "load.engine", "compute": "compute.loader"}[module]
        return self.at[f"{engine}.{signal}"]

    def reader(self, source: Source) -> str:
        """The path of the reader of a module; a shared load engine has that of the load module."""
        shared = self.isa.cfg.load_engines == 1 and source is Source.COMPUTE
        return f"reads.reader{Source.LOAD if shared else source}"

    def head(self, module: str):
        """The head of the instruction queue of ``module``, in the layout of a LOAD, and valid."""
        if module == "compute":
            word, valid = self.next().insn, self.at[f"{SCOREBOARD}.next_valid"]
        else:
            word, valid = self.at[f"fetch.{module}__payload"], self.at[f"fetch.{module}__valid"]
        return data.View(layout_of(self.isa.memory), word), valid

    def next(self):
        """The issue request of the compute module: the next instruction with its access ranges."""
        return data.View(IssueRequest(self.isa), self.at[f"{SCOREBOARD}.next"])

    def entries(self):
        """The entries of the compute module's scoreboard, a ring."""
        layout = EntryLayout(self.isa)
        return [
            data.View(layout, self.at[f"{SCOREBOARD}.entry{n}"])
            for n in range(self.isa.cfg.issue_depth)
        ]


def stalled(channel: str):
    """A bus channel: valid without ready."""
    return lambda s: getattr(s.bus, f"{channel}valid") & ~getattr(s.bus, f"{channel}ready")


def out_of_credits(source: Source):
    """A burst of a reader stalls because of the limit on outstanding beats and bursts."""

    def stall(s: ProbeContext) -> ValueLike:
        reader = s.reader(source)
        return s.at[f"{reader}.skid.o__valid"] & ~s.at[f"{reader}.allowed"]

    return stall


def blocking(source: Source):
    """Beats for a reader with a full queue stall the R channel."""
    return lambda s: stalled("r")(s) & (s.bus.rid == source)


def full(module: PipelineModule):
    """Fetch stalls because the queue of a module is full."""
    return lambda s: s.at["fetch.blocked"] & (s.at["fetch.module"] == module)


def empty(module: str):
    """The queue of a module is empty before the end of the stream."""
    return lambda s: s.at["fetch.busy"] & ~s.at[f"fetch.{module}__valid"]


def unready(valid: str, ready: str):
    """Valid without ready, of two signals."""
    return lambda s: s.at[valid] & ~s.at[ready]


def rows_full(module: str):
    """The row queue of the load engine of ``module`` is full."""
    return lambda s: s.loads(module, "generator.row__valid") & ~s.loads(module, "rows.w_rdy")


def no_beat(module: str, source: Source):
    """The load engine of ``module`` waits for the bus."""
    return lambda s: s.loads(module, "busy") & ~s.at[f"{s.reader(source)}.beats.r_rdy"]


def no_token(module: str, prev: str | None = None, next: str | None = None):
    """The head of a queue stalls on a token, of one neighbour or (with both) of two at once."""

    def stall(s: ProbeContext) -> ValueLike:
        insn, stalls = s.head(module)
        for pop, queue in ((insn.pop_prev, prev), (insn.pop_next, next)):
            if queue is not None:
                stalls = stalls & pop & (s.at[f"tokens.{queue}"] == 0)
        return stalls

    return stall


def scoreboard_full(s: ProbeContext) -> ValueLike:
    """The next instruction of the compute module stalls because no scoreboard entry is free."""
    return s.head("compute")[1] & Cat(one.valid for one in s.entries()).all()


def out_of_order_completion(s: ProbeContext) -> ValueLike:
    """A younger instruction of the compute module is done before the oldest one."""
    some_done = Cat(one.valid & ~one.executing for one in s.entries()).any()
    return some_done & ~s.at[f"{SCOREBOARD}.retire"]


def hazard(new, old):
    """The next instruction has a hazard with an older one on another :class:`ExecutionUnit`."""

    def stall(s: ProbeContext) -> ValueLike:
        dependencies = s.at[f"{SCOREBOARD}.dependencies"] & Cat(
            one.unit == old for one in s.entries()
        )
        return s.at[f"{SCOREBOARD}.next_valid"] & (s.next().unit == new) & dependencies.any()

    return stall


def alu_stalls(**bank_free: bool):
    """A micro-op of the ALU stalls while GEMM has reserved the bank of these operands, or has not:
    then the stall is for a result, or for the second read of the ALU itself."""

    def stall(s: ProbeContext) -> ValueLike:
        stalls = unready(
            "compute.alu.pipeline.hazards.current_valid", "compute.alu.pipeline.hazards.uop__ready"
        )(s)
        for operand, expected in bank_free.items():
            busy = s.at[f"compute.accumulators.alu_{operand}_reserved"]
            tile = s.at[f"compute.alu.pipeline.{operand}_read__addr"]
            free = ~busy.bit_select(tile[: len(busy).bit_length() - 1], 1)
            stalls = stalls & (free if expected else ~free)
        return stalls

    return stall


STALLS: dict[str, dict[str, Callable[[ProbeContext], ValueLike]]] = {
    "bus": {
        "AR stalled": stalled("ar"),
        "R stalled": stalled("r"),
        "AW stalled": stalled("aw"),
        "W stalled": stalled("w"),
        "R blocked by load": blocking(Source.LOAD),
        "R blocked by compute": blocking(Source.COMPUTE),
        "load out of credits": out_of_credits(Source.LOAD),
        "compute out of credits": out_of_credits(Source.COMPUTE),
        "AW stalls on W": unready("writes.splitter.burst__valid", "writes.lengths.w_rdy"),
        "AW stalls on B": unready("writes.splitter.burst__valid", "writes.responses.w_rdy"),
    },
    "queues": {
        **{f"{each.name.lower()} full": full(each) for each in PipelineModule},
        **{f"{each.name.lower()} empty": empty(each.name.lower()) for each in PipelineModule},
        "load in-flight limit": unready("fetch.load__valid", "load.in_flight.w_rdy"),
        "store in-flight limit": unready("fetch.store__valid", "store.in_flight.w_rdy"),
        "load row queue full": rows_full("load"),
        "compute row queue full": rows_full("compute"),
        "store row queue full": unready("store.generator.row__valid", "store.rows.w_rdy"),
    },
    "tokens": {
        "load stalls on g2l": no_token("load", next="g2l"),
        "compute stalls on l2g": no_token("compute", prev="l2g"),
        "compute stalls on s2g": no_token("compute", next="s2g"),
        "compute stalls on both": no_token("compute", prev="l2g", next="s2g"),
        "store stalls on g2s": no_token("store", prev="g2s"),
    },
    "data": {
        "fetch stalls on R": unready("fetch.busy", "fetch.reader.buffer.r_rdy"),
        "load stalls on R": no_beat("load", Source.LOAD),
        "compute stalls on R": no_beat("compute", Source.COMPUTE),
        "store stalls on W": unready("store.write__beat__valid", "writes.port__beat__ready"),
        "W stalls on store": unready("writes.lengths.r_rdy", "store.write__beat__valid"),
        "store stalls on B": lambda s: (
            s.at["writes.responses.r_rdy"] & ~s.bus.bvalid & ~s.at["writes.lengths.r_rdy"]
        ),
    },
    "compute": {
        "scoreboard full": scoreboard_full,
        "out-of-order completion": out_of_order_completion,
        **{
            f"{new.name} hazard with {old.name}": hazard(new, old)
            for new in UNITS for old in UNITS if new is not old
        },
        "GEMM queue full": unready("compute.issue.gemm__valid", "compute.gemm_queue.w_rdy"),
        "ALU queue full": unready("compute.issue.alu__valid", "compute.alu_queue.w_rdy"),
        "GEMM stalls on micro-ops": unready(
            "compute.gemm.sequencer.required", "compute.gemm.sequencer.buffer.hit"),
        "ALU stalls on micro-ops": unready(
            "compute.alu.sequencer.required", "compute.alu.sequencer.buffer.hit"),
        "micro-op scan stalls on its port": unready(
            "compute.issue.uop_read__en", "compute.uops.read__2__ready"),
        "ALU bank conflict on dst": alu_stalls(dst=False),
        "ALU bank conflict on src": alu_stalls(src=False),
        "ALU bank conflict on both": alu_stalls(dst=False, src=False),
        "ALU hazard": alu_stalls(dst=True, src=True),
        "LOAD bank conflict": lambda s: s.at["compute.accumulators.load_stall"],
    },
}  # fmt: skip
"""The probes by group and name."""


class ObservedCore(wiring.Component):
    """The core with an output of its stalls.

    Parameters
    ----------
    cfg, dsp48, wide_luts
        As of :class:`~vta.hw.core.Core`.

    Attributes
    ----------
    m_axi, s_axi, irq
        As of the core.
    stalls : out
        A bit for each of :data:`STALLS`, in order, the first in the lowest bit.
    """

    PORT = "stalls"
    """The name of the output."""
    PROBES: ClassVar = {f"{group}: {name}": probe for group, names in STALLS.items()
                        for name, probe in names.items()}  # fmt: skip
    NAMES = tuple(PROBES)
    """The names of the bits, ``group: name``."""

    def __init__(self, cfg: VTAConfig, *, dsp48: bool = False, wide_luts: bool = False) -> None:
        self.core = Core(cfg, dsp48=dsp48, wide_luts=wide_luts)
        super().__init__({**self.core.signature.members, self.PORT: Out(len(self.PROBES))})

    def elaborate(self, platform):
        m = Module()
        paths = SignalPaths(self.core)
        m.submodules.core = paths.fragment
        wiring.connect(m, self.core.m_axi, wiring.flipped(self.m_axi))
        wiring.connect(m, wiring.flipped(self.s_axi), self.core.s_axi)
        context = ProbeContext(self.core, paths)
        m.d.comb += [
            self.irq.eq(self.core.irq),
            getattr(self, self.PORT).eq(Cat(probe(context) for probe in self.PROBES.values())),
        ]
        return m
