"""What a server grants."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vta.errors import ConfigError

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds of a server; each is for one session unless it says otherwise.

    Attributes
    ----------
    sessions : int
        Sessions of all clients at a time.
    device_bytes : int
        Device memory in buffers and placed programs.
    buffers : int
        Buffers in device memory; also programs placed there.
    files : int
        Uploaded files.
    program_bytes : int
        Size of a program file.
    bitstream_bytes : int
        Size of a bitstream, on a device that has an FPGA.
    cycles : int
        What a run may take by a generous estimate made before it begins
        (:func:`vta.cycle_bound.cycle_bound`: some 16 times what a good machine needs). The default
        is ten layers of ResNet-18 in one program.
    idle_seconds : float
        Time without a request after which the session ends.

    Raises
    ------
    ConfigError
        If one is not positive.
    """

    sessions: int = 16
    device_bytes: int = 1 << 27
    buffers: int = 4096
    files: int = 64
    program_bytes: int = 1 << 22
    bitstream_bytes: int = 1 << 26
    cycles: int = 100_000_000
    idle_seconds: float = 3600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ConfigError(f"the limit {field.name} is {value}; must be positive")
