"""Whether a design fits its part, by open synthesis of the whole of it, module by module."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from vta.boards.synthesis.parts import SynthesisError
from vta.boards.synthesis.yosys import Yosys
from vta.boards.toolchains.toolchain import TOP, Design

__all__ = ["resources"]

CACHE = Path("build/synth/cache")
"""Results of modules are kept here, those of ``make synth`` too."""


def resources(design: Design, tell: Callable[[str], None], cache: Path = CACHE) -> str:
    """The resources of its part that the design takes, as text.

    Raises
    ------
    SynthesisError
        If it does not fit, or the synthesis tool is missing or fails.
    """
    part = design.board.part
    yosys = Yosys(cache.resolve())
    own = yosys.cells(design.verilog, TOP, part.family, tell)
    used = part.family.count(sum(own.values(), Counter()))
    of = {
        name: f"{float(amount):,.0f} of {part.capacity[name]:,} {name}"
        for name, amount in used.items()
    }
    by = f"({yosys.version.split('(')[0].strip()}, by module)"
    missing = [of[name] for name, amount in used.items() if amount > part.capacity[name]]
    if missing:
        raise SynthesisError(
            f"{design.cfg.fingerprint} does not fit {part.name}: it takes {', '.join(missing)} {by}"
        )
    return f"{', '.join(of.values())} {by}"
