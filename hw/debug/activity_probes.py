"""The core with an output of its activity, for builds that record what its units do in each cycle.

:data:`ACTIVITY` is the list of probes, one bit each. A pulse is high for one cycle for each event;
a state is high in each cycle in which it holds.
"""

from collections.abc import Callable
from typing import ClassVar

from amaranth.hdl import Cat, Const, ValueLike

from vta.hw.compute.issue_request import ExecutionUnit
from vta.hw.debug.stall_probes import (
    SCOREBOARD,
    ObservedCore,
    ProbeContext,
    alu_stalls,
    no_token,
    scoreboard_full,
    unready,
)
from vta.memmap import Source

__all__ = ["ACTIVITY", "ActiveCore"]


def signal(path: str):
    """A signal itself; of more than one bit, whether any is set."""
    return lambda s: s.at[path].any()


def both(valid: str, ready: str):
    """A transfer of a stream, of the two signals of its handshake."""
    return lambda s: s.at[valid] & s.at[ready]


def next_unit(unit):
    """The next instruction of the compute module issues in this cycle, to ``unit``."""
    return lambda s: s.at["compute.issue.issued"] & (s.next().unit == unit)


def executed(unit: str, *, last: bool = False):
    """A micro-op of GEMM or the ALU is issued; with ``last`` the last one of its instruction."""

    def probe(s: ProbeContext) -> ValueLike:
        path = f"compute.{unit}.sequencer.op"
        issued = s.at[f"{path}__valid"]
        if unit == "alu":
            issued = issued & s.at["compute.alu.pipeline.hazards.uop__ready"]
        # `last` is the highest member of vta.hw.compute.sequencer.IndexedUopLayout.
        return issued & s.at[f"{path}__payload"][-1] if last else issued

    return probe


def writes(module: str, *srams: str):
    """The load engine of ``module`` writes a part of an SRAM."""
    return lambda s: Cat(s.loads(module, f"write_{sram}__mask") for sram in srams).any()


def loader_done(s: ProbeContext) -> ValueLike:
    """A LOAD of the compute module has made its last write."""
    shared = s.isa.cfg.load_engines == 1
    return s.at["compute.loader.second_done" if shared else "compute.loader.done"]


def read_beat(source: Source):
    """A beat of a reader crosses the bus."""
    return lambda s: s.bus.rvalid & s.bus.rready & (s.bus.rid == source)


def compute_tokens(s: ProbeContext) -> ValueLike:
    """The next instruction of the compute module stalls on a token."""
    return s.at[f"{SCOREBOARD}.next_valid"] & ~s.at["compute.issue.tokens_available"]


def uop_hazard(s: ProbeContext) -> ValueLike:
    """The access ranges of an instruction stall on micro-ops that an older LOAD has not written."""
    if s.isa.cfg.issue_depth == 1:
        return Const(0)  # one instruction in flight: no ranges
    reads = s.at["compute.issue.access_ranges.uop_bounds.read_pending"]
    return reads & s.at[f"{SCOREBOARD}.uop_hazard"]


def unit_queue_full(s: ProbeContext) -> ValueLike:
    """The next instruction of the compute module stalls because its unit does not accept it."""
    ready = {
        ExecutionUnit.LOAD: s.at["compute.load__ready"],
        ExecutionUnit.GEMM: s.at["compute.gemm_queue.w_rdy"],
        ExecutionUnit.ALU: s.at["compute.alu_queue.w_rdy"],
    }
    return (
        s.at[f"{SCOREBOARD}.next_valid"]
        & Cat((s.next().unit == unit) & ~accepts for unit, accepts in ready.items()).any()
    )


ACTIVITY: dict[str, Callable[[ProbeContext], ValueLike]] = {
    "running": signal("control.running"),
    "dispatched": signal("fetch.dispatched"),
    # The queues of the modules: an instruction is at the head; it leaves the queue.
    "load head": signal("fetch.load__valid"),
    "load issued": signal("load.issue"),
    "load token": signal("load.token_stall"),
    "load limit": unready("fetch.load__valid", "load.in_flight.w_rdy"),
    "load write": writes("load", "inp", "wgt"),
    "load retired": signal("load.retired"),
    "compute accepted": both("fetch.compute__valid", "compute.insn__ready"),
    "compute l2g": no_token("compute", prev="l2g"),
    "compute s2g": no_token("compute", next="s2g"),
    "compute token": compute_tokens,
    "compute hazard": lambda s: (
        s.at[f"{SCOREBOARD}.next_valid"] & s.at[f"{SCOREBOARD}.dependencies_valid"]
        & s.at[f"{SCOREBOARD}.dependencies"].any()
    ),
    "compute uop hazard": uop_hazard,
    "compute full": scoreboard_full,
    "compute unit full": unit_queue_full,
    "compute issued": signal("compute.issue.issued"),
    "compute retired": signal("compute.retired"),
    "loader issued": next_unit(ExecutionUnit.LOAD),
    "loader write": writes("compute", "uop", "acc"),
    "loader done": loader_done,
    "gemm uop": executed("gemm"),
    "gemm last uop": executed("gemm", last=True),
    "gemm product": signal("compute.gemm.product"),
    "gemm done": signal("compute.gemm.done"),
    "alu uop": executed("alu"),
    "alu last uop": executed("alu", last=True),
    "alu dst bank": alu_stalls(dst=False),
    "alu src bank": alu_stalls(src=False),
    "alu hazard": alu_stalls(dst=True, src=True),
    "alu done": signal("compute.alu.done"),
    "store head": signal("fetch.store__valid"),
    "store issued": signal("store.issue"),
    "store token": signal("store.token_stall"),
    "store limit": unready("fetch.store__valid", "store.in_flight.w_rdy"),
    "store retired": signal("store.retired"),
    "fetch beat": read_beat(Source.FETCH),
    "load beat": read_beat(Source.LOAD),
    "compute beat": read_beat(Source.COMPUTE),
    "write beat": lambda s: s.bus.wvalid & s.bus.wready,
}  # fmt: skip
"""The probes by name: the unit, then the event or state."""


class ActiveCore(ObservedCore):
    """The core with an output of its activity.

    Parameters
    ----------
    cfg, dsp48, wide_luts
        As of :class:`~vta.hw.core.Core`.

    Attributes
    ----------
    m_axi, s_axi, irq
        As of the core.
    activity : out
        A bit for each of :data:`ACTIVITY`, in order, the first in the lowest bit.
    """

    PORT = "activity"
    PROBES: ClassVar = ACTIVITY
    NAMES = tuple(ACTIVITY)
