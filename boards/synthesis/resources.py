"""Whether a design fits its part, by open synthesis of the whole of it, module by module."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from vta.boards.synthesis.parts import SynthesisError
from vta.boards.synthesis.yosys import Yosys
from vta.boards.toolchains.toolchain import TOP, Design

__all__ = ["resources", "resources_of"]

CACHE = Path("build/synth/cache")
"""Results of modules are kept here, those of ``make synth`` too."""


def resources(design: Design, tell: Callable[[str], None], cache: Path = CACHE) -> str:
    """The resources of its part that the design takes, as text.

    Raises
    ------
    SynthesisError
        If it does not fit, or the synthesis tool is missing or fails.
    """
    yosys = Yosys(cache.resolve())
    own = yosys.cells(design.verilog, TOP, design.board.part.family, tell)
    by = f"{yosys.version.split('(')[0].strip()}, by module"
    return resources_of(design, sum(own.values(), Counter()), by)


def resources_of(design: Design, cells: Mapping[str, int], by: str) -> str:
    """The resources of its part that a netlist of the design takes, as text.

    Parameters
    ----------
    design : Design
    cells : mapping of str to int
        Cell to number.
    by : str
        How the netlist was made, for the text.

    Raises
    ------
    SynthesisError
        If it does not fit; the text says by how much.
    """
    part = design.board.part
    used = part.family.count(cells)
    of = {
        name: f"{float(amount):,.0f} of {part.capacity[name]:,} {name}"
        for name, amount in used.items()
    }
    missing = [of[name] for name, amount in used.items() if amount > part.capacity[name]]
    if missing:
        raise SynthesisError(
            f"{design.cfg.fingerprint} does not fit {part.name}: it takes {', '.join(missing)} "
            f"({by}); a smaller LOG_BLOCK, and EXTENSION 0, take less"
        )
    return f"{', '.join(of.values())} ({by})"
