"""A profile: layers with the times of their instructions and the cause of each cycle."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vta.isa import Alu, Gemm, Isa, Load, MemId, Store
from vta.profiling.bursts import Burst
from vta.profiling.causes import CycleCause, attribute, count
from vta.profiling.occupancy import occupancy
from vta.profiling.statements import Node, Statement, nodes, statements

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vta.config import VTAConfig
    from vta.errors import ExecutionError
    from vta.program import Program
    from vta.sim.timing import Timing

__all__ = ["TIMED_BY", "Layer", "ProfileData", "heading"]

TIMED_BY = {"sim": "timing model", "tsim": "simulated RTL"}
"""The targets of a profile, and what gives the times there."""


def heading(name: str, target: str, memory: str) -> str:
    """What was profiled, what gave the times, and the timing of the DRAM."""
    return f"{name} on {target} ({TIMED_BY[target]}), memory {memory}"


@dataclass(frozen=True)
class Layer:
    """One program of a profile.

    Attributes
    ----------
    name, operator : str
    program : Program
    timing : Timing
        Of the instructions that retired.
    causes : ndarray of uint8, shape (cycles,)
        The :class:`~vta.profiling.causes.CycleCause` of each cycle.
    bursts : tuple of Burst
        Of the memory port, by their ends; none on the timing model.
    """

    name: str
    operator: str
    program: Program
    timing: Timing
    causes: npt.NDArray[np.uint8]
    bursts: tuple[Burst, ...] = ()

    @staticmethod
    def of(
        name: str, operator: str, program: Program, timing: Timing, bursts: tuple[Burst, ...] = ()
    ) -> Layer:
        """The layer of a program that was timed."""
        causes = attribute(timing.cycles, program.instructions, timing.instructions)
        return Layer(name, operator, program, timing, causes, bursts)

    @property
    def cycles(self) -> int:
        return self.timing.cycles

    @cached_property
    def by_cause(self) -> dict[CycleCause, int]:
        """Cycles of each cause. The sum is :attr:`cycles`."""
        return count(self.causes)

    @cached_property
    def products(self) -> int:
        """Tile products that GEMM issues."""
        insns = self.program.instructions
        return sum(i.operations for i in insns if isinstance(i, Gemm) and not i.reset)

    @cached_property
    def vectors(self) -> int:
        """Tiles that the ALU issues."""
        return sum(i.operations for i in self.program.instructions if isinstance(i, Alu))

    @property
    def utilisation(self) -> float:
        """Products over cycles."""
        return self.products / max(self.cycles, 1)

    @cached_property
    def traffic(self) -> dict[str, tuple[int, int]]:
        """Bytes read and written in DRAM, by tensor; those of the micro-ops as ``micro-ops``."""
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        isa, program = Isa.of(self.program.cfg), self.program
        for item in program.relocations:
            insn = program.instructions[item.instruction]
            assert isinstance(insn, Load | Store)
            name = "micro-ops" if item.argument < 0 else program.tensors[item.argument].name
            nbytes = insn.x_size * insn.y_size * isa.elem_bytes(insn.memory)
            found[name][isinstance(insn, Store)] += nbytes
        return {name: (read, written) for name, (read, written) in found.items()}

    @property
    def dram_bytes(self) -> int:
        return sum(read + written for read, written in self.traffic.values())

    @cached_property
    def statements(self) -> list[Statement]:
        """Cycles by statement of the schedule, see :func:`vta.profiling.statements.statements`."""
        return statements(self.program, self.timing)

    @cached_property
    def nodes(self) -> list[Node]:
        """Of a joined program: its nodes, see :func:`vta.profiling.statements.nodes`."""
        return nodes(self.program, self.timing)

    def occupancy(self, bins: int) -> tuple[int, dict[tuple[MemId, str], npt.NDArray[np.int64]]]:
        """See :func:`vta.profiling.occupancy.occupancy`."""
        return occupancy(self.program, self.timing, bins)

    @property
    def bound(self) -> str:
        """The resource that needs the most cycles: ``products``, ``ALU`` or ``bus``."""
        beats = self.timing.read_beats + self.timing.write_beats
        needs = {"products": self.products, "ALU": self.vectors, "bus": beats}
        return max(needs, key=lambda name: needs[name])

    def as_dict(self) -> dict[str, Any]:
        """What ``profile.json`` holds of the layer."""
        return {
            "name": self.name,
            "operator": self.operator,
            "cycles": self.cycles,
            "products": self.products,
            "vectors": self.vectors,
            "instructions": self.program.instruction_count,
            "retired": len(self.timing.instructions),
            "bound": self.bound,
            "read_beats": self.timing.read_beats,
            "write_beats": self.timing.write_beats,
            "causes": {cause.label: cycles for cause, cycles in self.by_cause.items()},
            "busy": self.timing.busy(),
            "nodes": {
                node.name: {
                    cause.label: cycles
                    for cause, cycles in count(self.causes[node.begin : node.end]).items()
                }
                for node in self.nodes
            },
            "traffic": {k: {"read": r, "written": w} for k, (r, w) in self.traffic.items()},
        }


@dataclass(frozen=True)
class ProfileData:
    """A profile of one program or of the layers of a network, as it was measured.

    Attributes
    ----------
    name : str
    cfg : VTAConfig
        The machine.
    target : str
        ``sim`` for the timing model, ``tsim`` for the simulated RTL.
    memory : str
        The preset of the DRAM's timing.
    layers : tuple of Layer
        In the order of the run.
    failure : ExecutionError or None
        Why the run ended early; then the last layer holds what retired until then.
    """

    name: str
    cfg: VTAConfig
    target: str
    memory: str
    layers: tuple[Layer, ...]
    failure: ExecutionError | None = None

    @property
    def timed_by(self) -> str:
        """What gave the times: see :data:`TIMED_BY`."""
        return TIMED_BY[self.target]

    @property
    def heading(self) -> str:
        """See :func:`heading`."""
        return heading(self.name, self.target, self.memory)

    @property
    def cycles(self) -> int:
        """Of all layers."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def by_cause(self) -> dict[CycleCause, int]:
        """Cycles of each cause; the sum is :attr:`cycles`."""
        return {c: sum(layer.by_cause[c] for layer in self.layers) for c in CycleCause}

    def as_dict(self) -> dict[str, Any]:
        """What ``profile.json`` holds."""
        return {
            "format": 1,
            "name": self.name,
            "config": self.cfg.fingerprint,
            "target": self.target,
            "memory": self.memory,
            "cycles": self.cycles,
            "failure": None if self.failure is None else str(self.failure),
            "layers": [layer.as_dict() for layer in self.layers],
        }
