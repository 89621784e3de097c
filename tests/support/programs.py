"""Hypothesis strategies of random legal programs (vta.sim.fuzzing.random_programs makes them)."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from vta.config import VTAConfig
from vta.sim.fuzzing.random_programs import RandomProgram, random_program


@st.composite
def programs(
    draw: st.DrawFn, cfg: VTAConfig, *, steps: int = 24, max_operations: int = 48
) -> RandomProgram:
    """Race-free programs for a configuration. Every choice is Hypothesis's, so failures shrink."""
    rng = draw(st.randoms(use_true_random=False))
    return random_program(cfg, rng, steps=steps, max_operations=max_operations)


def seeded_programs(
    cfg: VTAConfig, count: int, *, seed: int = 0, steps: int = 24, max_operations: int = 48
) -> list[RandomProgram]:
    """``count`` programs from numbered seeds: quicker to make than those of the strategy."""
    return [
        random_program(
            cfg, random.Random(f"{seed}.{n}"), steps=steps, max_operations=max_operations
        )
        for n in range(count)
    ]
