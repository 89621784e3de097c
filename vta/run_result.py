"""What a run reports: the machine's counters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from vta import html_tables

__all__ = ["Counters", "RunResult"]


@dataclass
class Counters:
    """The seven counters of the original's profiler, in its order (meaning:
    docs/hardware/machine.md)."""

    inp_load_nbytes: int = 0
    wgt_load_nbytes: int = 0
    acc_load_nbytes: int = 0
    uop_load_nbytes: int = 0
    out_store_nbytes: int = 0
    gemm_counter: int = 0
    alu_counter: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    def __add__(self, other: Counters) -> Counters:
        return Counters(
            **{key: value + getattr(other, key) for key, value in self.as_dict().items()}
        )


@dataclass
class RunResult:
    """One run of a stream.

    Attributes
    ----------
    counters : Counters
        Events of this run.
    cycle_count : int or None
        Clock cycles from launch to done; None on the reference model, which has no clock.
    tokens : dict of str to int
        Tokens left in ``l2g``, ``g2l``, ``g2s``, ``s2g`` at the end.
    """

    counters: Counters
    cycle_count: int | None = None
    tokens: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, int]:
        """The counters, and ``cycle_count`` where there is one: what ``vta exec --stats``
        writes."""
        out = self.counters.as_dict()
        if self.cycle_count is not None:
            out["cycle_count"] = self.cycle_count
        return out

    def _repr_html_(self) -> str:
        return html_tables.table(["counter", "of this run"], list(self.as_dict().items()))
