"""How the simulated DRAM behaves in time, and the presets that have a name."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vta.errors import DeviceError

__all__ = ["PRESETS", "MemoryTiming"]

SLOT_WINDOW = 20
"""Bandwidth is dealt out in windows of so many cycles (``Slots::WINDOW`` in csrc/random.h)."""


@dataclass(frozen=True)
class MemoryTiming:
    """Latency, bandwidth and stalls of the memory behind the AXI port. Cycles are clock cycles of
    the core.

    Attributes
    ----------
    read_latency : int
        Cycles from the one that accepts a read address to the one that offers the first beat; >= 1.
    write_latency : int
        Cycles from the one that accepts the last beat of a write to the one that offers its
        response; >= 1.
    outstanding_reads, outstanding_writes : int
        Bursts that the memory accepts before the first of them is answered; 1..64.
    shared_bus : bool
        Reads and writes share one beat a cycle; otherwise each has its own.
    reorder : bool
        Beats of reads with different IDs come in any order, interleaved; otherwise reads are
        answered in order.
    beat_rate : float
        The share of cycles in which the memory moves a beat: in every 20 cycles exactly so many, at
        random places. A multiple of 1/20 in (0, 1].
    stall_ar, stall_r, stall_aw, stall_w, stall_b : float
        Probability, in each cycle, that the memory stalls the channel; 0..1 (1 never answers).

    Raises
    ------
    DeviceError
        If a value is outside its range.
    """

    read_latency: int = 1
    write_latency: int = 1
    outstanding_reads: int = 16
    outstanding_writes: int = 16
    shared_bus: bool = False
    reorder: bool = False
    beat_rate: float = 1.0
    stall_ar: float = 0.0
    stall_r: float = 0.0
    stall_aw: float = 0.0
    stall_w: float = 0.0
    stall_b: float = 0.0

    def __post_init__(self) -> None:
        for name in ("read_latency", "write_latency"):
            self._require(name, 1 <= getattr(self, name) < 1 << 32, "at least 1")
        for name in ("outstanding_reads", "outstanding_writes"):
            self._require(name, 1 <= getattr(self, name) <= 64, "in 1..64")
        slots = self.beat_rate * SLOT_WINDOW
        exact = abs(slots - round(slots)) < 1e-9
        self._require(
            "beat_rate", 0 < self.beat_rate <= 1 and exact, "a multiple of 0.05 in (0, 1]"
        )
        for field in fields(self):
            if field.name.startswith("stall_"):
                self._require(field.name, 0 <= getattr(self, field.name) <= 1, "in 0..1")

    def _require(self, name: str, holds: bool, what: str) -> None:
        if not holds:
            raise DeviceError(f"memory timing: {name} is {getattr(self, name)}; must be {what}")

    @classmethod
    def of(cls, name: str) -> MemoryTiming:
        """The preset with this name.

        Raises
        ------
        DeviceError
            If there is none.
        """
        if name not in PRESETS:
            raise DeviceError(f"no memory preset {name!r}; there are {', '.join(PRESETS)}")
        return PRESETS[name]

    @property
    def slowest_beat(self) -> float:
        """Cycles that a beat takes on average, at most, once its turn has come."""
        stall = max(self.stall_ar, self.stall_r, self.stall_aw, self.stall_w, self.stall_b)
        return 2 / (self.beat_rate * max(1 - stall, 0.01))


PRESETS = {
    "ideal": MemoryTiming(),
    "ddr": MemoryTiming(read_latency=60, write_latency=60, shared_bus=True, beat_rate=0.8),
    "chaos": MemoryTiming(
        read_latency=7, write_latency=9, outstanding_reads=5, outstanding_writes=3, reorder=True,
        stall_ar=0.5, stall_r=0.4, stall_aw=0.5, stall_w=0.4, stall_b=0.6,
    ),
    "far": MemoryTiming(
        read_latency=250, write_latency=250, outstanding_reads=64, outstanding_writes=64
    ),
}  # fmt: skip
"""`ideal`: one beat a cycle each way, latency 1. `ddr`: latency 60, at most 80 % of the beats,
reads and writes share the bus. For tests: `chaos`, where every channel stalls at random and reads
overtake each other, and `far`, where so much is under way that the core reaches its limits."""
