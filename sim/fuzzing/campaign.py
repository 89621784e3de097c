"""Differential fuzzing: random programs on the reference and on a machine, one after the other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vta.sim.fuzzing.congestion import congested_program
from vta.sim.fuzzing.differential import Machine, difference
from vta.sim.fuzzing.random_programs import RandomProgram, random_program
from vta.sim.fuzzing.shrink import shrink

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = ["Campaign", "Failure", "Trial"]

CONGESTED_EVERY = 16
"""One program in so many fills queues and exceeds the units' limits."""

RETRIES = 3
"""Timings in which a smaller program is tried before it counts as one that does not fail."""


@dataclass(frozen=True)
class Failure:
    """A program with which the machine goes wrong.

    Attributes
    ----------
    program : RandomProgram
    machine_seed : int
        Of the machine's timing.
    difference : str
        What was wrong, in words.
    """

    program: RandomProgram
    machine_seed: int
    difference: str


@dataclass(frozen=True)
class Trial:
    """One program that was tried: its number, and the failure if it is one."""

    number: int
    program: RandomProgram
    failure: Failure | None


class Campaign:
    """A series of programs, all determined by a seed.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    reference : Machine
        Gives the expected results.
    machine : Machine
        The machine under test. If it has a ``seed``, that is set to the number of the program:
        each program meets another timing.
    seed : int
        Of the programs.
    """

    def __init__(
        self, cfg: VTAConfig, reference: Machine, machine: Machine, *, seed: int = 0
    ) -> None:
        self.cfg, self.reference, self.machine, self.seed = cfg, reference, machine, seed

    def program(self, number: int) -> RandomProgram:
        """The program with this number: the same for the same seed and configuration."""
        rng = random.Random(f"{self.seed}.{number}")
        steps = rng.choice((4, 12, 24, 48, 96))
        congested = number % CONGESTED_EVERY == CONGESTED_EVERY - 1
        draw = congested_program if congested else random_program
        return draw(self.cfg, rng, steps=steps)

    def trials(self, first: int = 0) -> Iterator[Trial]:
        """Try programs from a number on, without end."""
        number = first
        while True:
            program = self.program(number)
            text = self._try(program, number)
            failure = None if text is None else Failure(program, number, text)
            yield Trial(number, program, failure)
            number += 1

    def shrink(
        self,
        failure: Failure,
        *,
        seconds: float = 60.0,
        progress: Callable[[RandomProgram], None] | None = None,
    ) -> Failure:
        """A failure with a smaller program."""
        seeds = [failure.machine_seed + n for n in range(RETRIES)]
        smallest = failure

        def fails(program: RandomProgram) -> bool:
            nonlocal smallest
            for seed in seeds:
                text = self._try(program, seed)
                if text is not None:
                    smallest = Failure(program, seed, text)
                    return True
            return False

        shrink(failure.program, fails, seconds=seconds, progress=progress)
        return smallest

    def _try(self, program: RandomProgram, machine_seed: int) -> str | None:
        if hasattr(self.machine, "seed"):
            self.machine.seed = machine_seed
        return difference(self.reference, self.machine, program)
