"""Walks the rows of a LOAD or STORE: bus requests and what the SRAM side has to do, one row a cycle.

``row r: dram[dram_base + r * x_stride + c] <-> sram[sram_base + zeros before + r * pitch + c],  c < x_size``
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vta.isa import MemId

if TYPE_CHECKING:
    from vta.config import VTAConfig


@dataclass(frozen=True)
class MemoryKind:
    """A memory that a LOAD or STORE can name.

    Attributes
    ----------
    memory : MemId
        What the instruction calls it.
    sram : str
        The SRAM behind it (``inp``, ``wgt``, ``uop``, ``acc``, ``out``); ACC and ACC_8BIT share one.
    elem_bytes : int
        Bytes of an element in DRAM, a power of two.
    sram_bits : int
        Bits of an element in the SRAM: the same, or four times as many where int8 lanes become int32.
    log_depth : int
        log2 of the elements of the SRAM.
    """

    memory: MemId
    sram: str
    elem_bytes: int
    sram_bits: int
    log_depth: int

    def __post_init__(self) -> None:
        assert self.elem_bytes & (self.elem_bytes - 1) == 0
        assert self.sram_bits in (self.elem_bytes * 8, self.elem_bytes * 32)

    @property
    def widens(self) -> bool:
        """Whether each int8 of DRAM becomes an int32 of the SRAM."""
        return self.sram_bits != self.elem_bytes * 8

    @property
    def log_bytes(self) -> int:
        """log2 of ``elem_bytes``."""
        return self.elem_bytes.bit_length() - 1

    @staticmethod
    def of(cfg: "VTAConfig", memory: MemId) -> "MemoryKind":
        """The memory ``memory`` of the machine ``cfg``."""
        sram = "acc" if memory is MemId.ACC_8BIT else memory.name.lower()
        elem_bytes = (
            cfg.acc8_elem_bytes if memory is MemId.ACC_8BIT else getattr(cfg, f"{sram}_elem_bytes")
        )
        return MemoryKind(
            memory=memory,
            sram=sram,
            elem_bytes=elem_bytes,
            sram_bits=getattr(cfg, f"{sram}_elem_bits"),
            log_depth=getattr(cfg, f"log_{sram}_depth"),
        )
