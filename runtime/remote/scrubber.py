"""Scrubbing: no data of one session stays in the on-chip memories for the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.config import INSN_BYTES
from vta.isa import Finish, Isa, Load, MemId

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.runtime.device import Device

__all__ = ["Scrubber"]


class Scrubber:
    """Records which session the on-chip memories belong to, and zeroes them before another session
    runs.

    A compiled program writes what it reads, but a stream made by hand could store values that
    a run of another session left.

    Raises
    ------
    DeviceError
        If the device has no memory for the instructions that zero the memories.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._owner: object = None
        self._zeros_bytes = max(depth * nbytes for _, depth, nbytes in _memories(device.cfg))
        self._zeros_addr = device.alloc(self._zeros_bytes)
        self._code = _stream(device.cfg, self._zeros_addr)
        self._code_addr = device.alloc(len(self._code))
        self.forget()

    def hand_to(self, session: object) -> None:
        """Give the device to ``session``; to be called before each of its runs.

        Raises
        ------
        DeviceError
            If the run that zeroes the memories fails.
        """
        if self._owner is session:
            return
        if self._owner is not None:
            self._owner = self  # no session, in case the run fails
            self._device.run(self._code_addr, len(self._code) // INSN_BYTES)
        self._owner = session

    def forget(self) -> None:
        """The device has lost all its memories: no data of any session is left."""
        self._owner = None
        self._device.write(self._zeros_addr, bytes(self._zeros_bytes))
        self._device.write(self._code_addr, self._code)


def _memories(cfg: VTAConfig) -> list[tuple[MemId, int, int]]:
    """Each on-chip memory: its name, its elements, the bytes of one."""
    isa = Isa.of(cfg)
    memories = (MemId.UOP, MemId.INP, MemId.WGT, MemId.ACC)
    return [(memory, isa.depth(memory), isa.elem_bytes(memory)) for memory in memories]


def _stream(cfg: VTAConfig, zeros: int) -> bytes:
    """Load zeros into every on-chip memory, one half at a time: a field of 16 bits cannot hold the
    size of the largest memory."""
    loads = [
        Load(
            memory=memory,
            sram_base=base,
            dram_base=zeros // nbytes,
            y_size=1,
            x_size=depth // 2,
            x_stride=depth // 2,
        )
        for memory, depth, nbytes in _memories(cfg)
        for base in (0, depth // 2)
    ]
    return Isa.of(cfg).encode_all([*loads, Finish()])
