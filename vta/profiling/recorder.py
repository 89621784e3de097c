"""``with vta.profile() as p``: the programs that run inside the block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vta.errors import DeviceError
from vta.memory_timing import MemoryTiming
from vta.profiling.run import TARGETS, profile_programs
from vta.runtime.device import TimesMemory
from vta.runtime.placement import observe_programs
from vta.targets import wrong_target

if TYPE_CHECKING:
    from vta.profiling.results import Profile
    from vta.program import Program
    from vta.runtime.device import Device

__all__ = ["Recorder", "profile"]


class Recorder:
    """The programs that have run inside a ``with vta.profile()`` block, and their profile.

    The profile is computed on first use: by the timing model, or in another run on the simulated
    RTL with probes. Data decides no cycle, so the times are those of the program's run there.
    """

    def __init__(self, target: str | None, memory: str | None) -> None:
        self._target, self._memory = target, memory
        self._devices: dict[tuple[str, str | None], None] = {}
        self.programs: list[Program] = []
        self._profile: Profile | None = None  # of all programs

    def record(self, program: Program, device: Device) -> None:
        """A program runs on a device."""
        self.programs.append(program)
        self._profile = None
        memory = device.memory_preset if isinstance(device, TimesMemory) else None
        self._devices[device.name, memory] = None

    @property
    def target(self) -> str:
        """The target that gives the times: what the block was told, or where the programs ran.

        Raises
        ------
        DeviceError
            If the block was told none, and the programs ran on several targets or on one that gives
            no profile.
        """
        if self._target is not None:
            return self._target
        names = list(dict.fromkeys(name for name, _ in self._devices))
        allowed = 'target="sim" (timing model) or target="tsim" (simulated RTL)'
        if len(names) > 1:
            raise DeviceError(
                f"the programs of the profile ran on {', '.join(names)}; vta.profile must be told "
                f"what gives the times: {allowed}"
            )
        (name,) = names or ["sim"]
        if name not in TARGETS:
            raise DeviceError(
                f"the programs of the profile ran on {name}, which gives no times of instructions; "
                f"vta.profile must be told what gives them: {allowed}"
            )
        return name

    @property
    def memory(self) -> str:
        """The timing of the DRAM: what the block was told, or that of the device; ``ideal`` for the
        reference model, which has none.

        Raises
        ------
        DeviceError
            If the block was told none, and the device does not say its own, or there are several.
        """
        if self._memory is not None:
            return self._memory
        found = {memory for name, memory in self._devices if name == self.target}
        if self.target == "sim" or not found:
            return "ideal"
        if len(found) > 1 or None in found:
            raise DeviceError(
                f"the DRAM of the device {self.target} has "
                f"{'several timings' if len(found) > 1 else 'a timing that is not known here'}; "
                'vta.profile must be told one: memory="ideal" or memory="ddr"'
            )
        (memory,) = found
        return str(memory)

    @property
    def result(self) -> Profile:
        """The profile of the programs that ran until now, in the order of their runs."""
        if self._profile is None:
            self._profile = profile_programs(
                "profile", self.programs, target=self.target, memory=self.memory
            )
        return self._profile

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
def profile(target: str | None = None, memory: str | None = None) -> Iterator[Recorder]:
    """Record the programs that run inside the block, on whatever device.

    Parameters
    ----------
    target : str or None
        ``sim``: the timing model. ``tsim``: the simulated RTL with probes. None: the target of the
        device on which the programs run, which must be one of these.
    memory : str or None
        The timing of the DRAM, a name of :data:`vta.memory_timing.PRESETS`. None: that of the
        device, ``ideal`` for ``sim``.

    Raises
    ------
    DeviceError
        If there is no such target or memory preset.
    """
    if target is not None and (wrong := wrong_target("the target of a profile", target, TARGETS)):
        raise DeviceError(wrong)
    if memory is not None:
        MemoryTiming.of(memory)
    recorder = Recorder(target, memory)
    with observe_programs(recorder.record):
        yield recorder
