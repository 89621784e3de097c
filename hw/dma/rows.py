"""Rows, the unit of work of the DMA, and the memories that a LOAD or STORE can name.

The row generator turns an instruction into rows; the row writer (loads) and the row reader (stores)
execute them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amaranth.hdl import Array, Mux, Shape, Signal, signed
from amaranth.lib import data

from vta.isa import MemId
from vta.memmap import Source

if TYPE_CHECKING:
    from vta.config import VTAConfig

__all__ = [
    "SRAM_BASE_BITS",
    "BusRow",
    "MemoryKind",
    "Row",
    "SramIndex",
    "beats_bits",
    "count_bits",
    "index_range",
    "pad_member",
    "reported_by",
    "saturated",
]

SRAM_BASE_BITS = 16
"""Width of ``sram_base`` of an instruction."""

PAD_VALUE_BITS = 8
"""Width of the value of a lane of the padding."""


def count_bits(kinds: "tuple[MemoryKind, ...]") -> int:
    """Width of a number of elements: of a row, of its zeros, of rows.

    Larger numbers saturate (:func:`saturated`). The largest one is more than any of the memories
    holds, so that a transfer of so many elements ends with the error SRAM_RANGE at the same element
    as one of more.
    """
    return max(1, *(kind.log_depth for kind in kinds)) + 1


def saturated(value, bits: int):
    """The unsigned ``value``, or the largest number of ``bits`` bits if that is smaller."""
    return Mux(value[bits:].any(), (1 << bits) - 1, value[:bits]) if len(value) > bits else value


def beats_bits(kinds: "tuple[MemoryKind, ...]", data_bits: int) -> int:
    """Width of the number of beats of a row, on a bus of ``data_bits``."""
    beat_bytes = data_bits // 8
    most = max(kind.elem_bytes for kind in kinds) * ((1 << count_bits(kinds)) - 1)
    return ((most + 2 * (beat_bytes - 1)) // beat_bytes).bit_length()


def reported_by(source, kind):
    """The reporter of an error of a transfer of the memory with the number ``kind``.

    Parameters
    ----------
    source : Source or sequence of Source
        The reporter, or one for each memory.
    kind : Value
    """
    return source if isinstance(source, Source) else Array(source)[kind]


def index_range(count: int) -> range:
    """The shape of an index below ``count``, at least one bit: Verilog has no wires of no bits."""
    return range(max(count, 2))


def pad_member(has_pad_value: bool) -> dict[str, Shape]:
    """The member ``pad_value`` of a layout, or nothing for loads that pad with 0 only."""
    return {"pad_value": signed(PAD_VALUE_BITS)} if has_pad_value else {}


@dataclass(frozen=True)
class MemoryKind:
    """A memory that a LOAD or STORE can name.

    Attributes
    ----------
    memory : MemId
        The name of the memory in the instruction.
    sram : str
        The SRAM behind it (``inp``, ``wgt``, ``uop``, ``acc``, ``out``); ACC and ACC_8BIT share it.
    elem_bytes : int
        Bytes of an element in DRAM, a power of two.
    sram_bits : int
        Bits of an element in the SRAM: the same number, or four times as many where int8 lanes
        become int32.
    log_depth : int
        log2 of the elements of the SRAM.
    lane_bits : int
        Bits of a value of an element in DRAM: 4, 8, 16 or 32.
    """

    memory: MemId
    sram: str
    elem_bytes: int
    sram_bits: int
    log_depth: int
    lane_bits: int = 8

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

    def beats_per_element(self, data_bits: int) -> int:
        """Beats of an element on a bus of ``data_bits``; 1 where an element fits in a beat."""
        return max(1, self.elem_bytes * 8 // data_bits)

    def elements_per_beat(self, data_bits: int) -> int:
        """Elements in a beat of ``data_bits``; 1 where an element fills a beat or more."""
        return max(1, data_bits // (self.elem_bytes * 8))

    def chunk_bits(self, data_bits: int) -> int:
        """Bits of the SRAM that one write of DRAM data fills: those of a beat, or of an element
        that is smaller than a beat."""
        return min(data_bits, self.elem_bytes * 8) * (4 if self.widens else 1)

    @staticmethod
    def of(cfg: "VTAConfig", memory: MemId) -> "MemoryKind":
        """The memory ``memory`` of the machine ``cfg``."""
        sram = "acc" if memory is MemId.ACC_8BIT else memory.name.lower()
        dram = "acc8" if memory is MemId.ACC_8BIT else sram
        return MemoryKind(
            memory=memory,
            sram=sram,
            elem_bytes=getattr(cfg, f"{dram}_elem_bytes"),
            sram_bits=getattr(cfg, f"{sram}_elem_bits"),
            log_depth=getattr(cfg, f"log_{sram}_depth"),
            lane_bits={
                MemId.UOP: 32, MemId.WGT: cfg.wgt_width, MemId.INP: cfg.inp_width,
                MemId.ACC: cfg.acc_width, MemId.OUT: cfg.out_width, MemId.ACC_8BIT: 8,
            }[memory],
        )  # fmt: skip


class Row(data.StructLayout):
    """A row: ``zeros`` elements of padding, then ``count`` elements of DRAM.

    ``first`` and ``last`` mark the first and the last row of an instruction; ``sram_base``, the
    SRAM index of the first element, is valid only with ``first``. ``kind`` is an index into the
    memories ``kinds``. The elements begin ``offset`` bytes into the first of their bus beats.
    With ``has_pad_value`` each lane of the padding is ``pad_value``, otherwise 0. Without ``pads``
    there is no padding, and no member ``zeros``. ``zeros`` and ``count`` saturate
    (:func:`count_bits`).
    """

    def __init__(
        self, kinds: tuple[MemoryKind, ...], *, data_bits: int, has_pad_value: bool = False,
        pads: bool = True,
    ) -> None:  # fmt: skip
        bits = count_bits(kinds)
        super().__init__({
            "kind": index_range(len(kinds)), "sram_base": SRAM_BASE_BITS, "first": 1, "last": 1,
            **({"zeros": bits} if pads else {}), "count": bits,
            "offset": range(data_bits // 8), **pad_member(has_pad_value),
        })  # fmt: skip


class BusRow(data.StructLayout):
    """A row and its place in DRAM: it occupies ``beats`` bus beats from ``addr`` on, which is
    aligned to the bus. A row without DRAM elements (``row.count = beats = 0``) causes no request.
    """

    def __init__(
        self, kinds: tuple[MemoryKind, ...], *, addr_bits: int, data_bits: int,
        has_pad_value: bool = False, pads: bool = True,
    ) -> None:  # fmt: skip
        row = Row(kinds, data_bits=data_bits, has_pad_value=has_pad_value, pads=pads)
        super().__init__({
            "row": row, "addr": addr_bits, "beats": beats_bits(kinds, data_bits),
        })  # fmt: skip


class SramIndex:
    """The SRAM index of an element: ``load`` sets it, ``step`` increments it.

    Only the low bits count. They hold the first index beyond the deepest memory, where a transfer
    ends with an error, so an index whose high bits are not 0 is never incremented.

    Attributes
    ----------
    value : Signal
        The index.
    """

    def __init__(self, kinds: tuple[MemoryKind, ...]) -> None:
        self._low = count_bits(kinds)
        self.value = Signal(max(SRAM_BASE_BITS, self._low), name="index")

    def load(self, base):
        """The statement that sets the index."""
        return self.value.eq(base)

    def step(self):
        """The statement that increments the index."""
        return self.value[: self._low].eq(self.value[: self._low] + 1)

    def within(self, kind: MemoryKind):
        """Whether the SRAM of ``kind`` has an element with this index."""
        return ~self.value[kind.log_depth :].any()
