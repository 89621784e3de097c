"""The device passes from one session to the next with nothing left in its on-chip memories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.config import INSN_BYTES
from vta.isa import Finish, Isa, Load, MemId

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.runtime.device import Device

__all__ = ["Handover"]


class Handover:
    """Knows whose data the on-chip memories hold, and wipes them when another one comes.

    A compiled program writes what it reads, but a stream made by hand could store what somebody
    else's run left.

    Raises
    ------
    DeviceError
        If the device has no memory for the instructions that wipe.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._owner: object = None
        self._zeros_bytes = max(depth * nbytes for _, depth, nbytes in _memories(device.cfg))
        self._zeros_addr = device.alloc(self._zeros_bytes)
        self._code = _stream(device.cfg, self._zeros_addr)
        self._code_addr = device.alloc(len(self._code))
        self.forget()

    def to(self, session: object) -> None:
        """Make the device ``session``'s; call it before every run.

        Raises
        ------
        DeviceError
            If the run that wipes fails.
        """
        if self._owner is session:
            return
        if self._owner is not None:
            self._owner = self  # nobody's, should it fail
            self._device.run(self._code_addr, len(self._code) // INSN_BYTES)
        self._owner = session

    def forget(self) -> None:
        """All memories were lost, the device's own too: nothing is left of anybody."""
        self._owner = None
        self._device.write(self._zeros_addr, bytes(self._zeros_bytes))
        self._device.write(self._code_addr, self._code)


def _memories(cfg: VTAConfig) -> list[tuple[MemId, int, int]]:
    """Each on-chip memory: its name, its elements, the bytes of one."""
    isa = Isa.of(cfg)
    memories = (MemId.UOP, MemId.INP, MemId.WGT, MemId.ACC)
    return [(memory, isa.depth(memory), isa.elem_bytes(memory)) for memory in memories]


def _stream(cfg: VTAConfig, zeros: int) -> bytes:
    """Load zeros into every on-chip memory, half a memory at a time: a whole one is more than a
    field can say."""
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
