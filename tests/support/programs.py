"""Hypothesis strategies of random legal programs (the generator itself is vta.sim.fuzz)."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from vta.config import VTAConfig
from vta.sim.fuzz import RandomProgram, random_program


@st.composite
def programs(
    draw: st.DrawFn, cfg: VTAConfig, *, steps: int = 24, max_operations: int = 48
) -> RandomProgram:
    """Race-free programs for a configuration. Every choice is Hypothesis's, so failures shrink."""
    rng = draw(st.randoms(use_true_random=False))
    return random_program(cfg, rng, steps=steps, max_operations=max_operations)


def seeded_programs(
    cfg: VTAConfig, count: int, *, seed: int = 0, **limits: int
) -> list[RandomProgram]:
    """``count`` programs from numbered seeds: for runs where each program is costly."""
    return [random_program(cfg, random.Random(f"{seed}.{n}"), **limits) for n in range(count)]


CONFIGURATIONS = {
    "tiny": VTAConfig.preset("tiny"),
    "default": VTAConfig.preset("default"),
}
"""Machines of many shapes by name: the presets, and odd ones at the edges of what is allowed."""
