"""What a server grants."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vta.errors import ConfigError
from vta.runtime.allocator import PAGE_BYTES

__all__ = ["Limits", "Shares"]

USUAL_SESSIONS = 8
"""Sessions that are granted unless told otherwise, if the device has memory enough for them."""
USUAL_SHARE = 1 << 24
"""Device memory of a session in bytes, below which fewer sessions are granted instead."""


@dataclass(frozen=True)
class Shares:
    """How the device memory is divided: so many sessions, and bytes for each of them."""

    sessions: int
    nbytes: int


@dataclass(frozen=True)
class Limits:
    """Bounds of a server; each is for one session unless it says otherwise.

    Attributes
    ----------
    sessions : int or None
        Sessions of all clients at a time. None: as :meth:`shares` divides the memory.
    device_bytes : int or None
        Device memory in buffers and placed programs, which take whole pages. None: as
        :meth:`shares` divides the memory.
    buffers : int
        Buffers in device memory; also programs placed there.
    files : int
        Uploaded files.
    file_bytes : int
        Size of all uploaded files together.
    program_bytes : int
        Size of a program file, and of a raw instruction stream.
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

    sessions: int | None = None
    device_bytes: int | None = None
    buffers: int = 4096
    files: int = 64
    file_bytes: int = 1 << 26
    program_bytes: int = 1 << 22
    bitstream_bytes: int = 1 << 26
    cycles: int = 100_000_000
    idle_seconds: float = 3600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ConfigError(f"the limit {field.name} is {value}; must be positive")

    def shares(self, free_bytes: int) -> Shares:
        """How ``free_bytes`` of device memory are divided, so that every session can have its
        share at the same time.

        What is given is granted. Without either limit there are :data:`USUAL_SESSIONS`, or fewer,
        but at least one, if the share would be less than :data:`USUAL_SHARE`.

        Raises
        ------
        ConfigError
            If sessions times share is more than the device has, or a share less than a page.
        """
        sessions, share = self.sessions, self.device_bytes
        if share is not None:
            share = -(-share // PAGE_BYTES) * PAGE_BYTES
        if sessions is None:
            sessions = max(1, min(USUAL_SESSIONS, free_bytes // (share or USUAL_SHARE)))
        if share is None:
            share = free_bytes // sessions // PAGE_BYTES * PAGE_BYTES
        if not 0 < sessions * share <= free_bytes:
            raise ConfigError(
                f"{sessions} sessions with {share} bytes of device memory each need "
                f"{sessions * max(share, PAGE_BYTES)} bytes; the device has {free_bytes} for them. "
                f"Grant fewer sessions or less memory (vta serve --sessions, --session-memory)"
            )
        return Shares(sessions, share)
