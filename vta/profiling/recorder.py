"""``with vta.profile() as p``: the programs that run inside the block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vta.profiling.run import TARGETS, profile_programs
from vta.runtime.placement import observe_programs
from vta.targets import wrong_target

if TYPE_CHECKING:
    from vta.profiling.results import Profile
    from vta.program import Program

__all__ = ["Recorder", "profile"]


class Recorder:
    """The programs that have run inside a ``with vta.profile()`` block, and their profile.

    The profile is computed on first use: by the timing model, or in another run on the simulated
    RTL with probes. Data decides no cycle, so it is that of the program's run on this target.
    """

    def __init__(self, target: str, memory: str) -> None:
        self.target, self.memory = target, memory
        self.programs: list[Program] = []

    @cached_property
    def result(self) -> Profile:
        """The profile of the programs, in the order of their runs."""
        return profile_programs("profile", self.programs, target=self.target, memory=self.memory)

    def summary(self) -> str:
        """See :meth:`vta.profiling.Profile.summary`."""
        return self.result.summary()

    def to_perfetto(self, path: str | Path) -> None:
        """See :meth:`vta.profiling.Profile.to_perfetto`."""
        self.result.to_perfetto(path)

    def write(self, folder: str | Path, *, force: bool = False) -> list[Path]:
        """See :meth:`vta.profiling.Profile.write`."""
        return self.result.write(folder, force=force)

    def _repr_html_(self) -> str:
        return self.result._repr_html_()


@contextmanager
def profile(target: str = "sim", memory: str = "ideal") -> Iterator[Recorder]:
    """Record the programs that run inside the block, on whatever device.

    Parameters
    ----------
    target : str
        ``sim``: the timing model. ``tsim``: the simulated RTL with probes.
    memory : str
        The timing of the DRAM, a name of :data:`vta.memory_timing.PRESETS`.

    Raises
    ------
    DeviceError
        If there is no such target or memory preset.
    """
    from vta.errors import DeviceError
    from vta.memory_timing import MemoryTiming

    if wrong := wrong_target("the target of a profile", target, TARGETS):
        raise DeviceError(wrong)
    MemoryTiming.of(memory)
    recorder = Recorder(target, memory)
    with observe_programs(recorder.programs.append):
        yield recorder
