"""Walks the rows of a LOAD or STORE: what to ask of the bus and what to do on the SRAM.

``dram[dram_base + r * x_stride + c] <-> sram[sram_base + zeros + r * pitch + c]``, ``c < x_size``
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import BEATS_BITS, ErrorLayout, layout_of
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.isa import Format, MemId
from vta.memmap import ErrorCode, Source

if TYPE_CHECKING:
    from vta.config import VTAConfig

ELEMENT_BITS = 34
"""Width of an element index in DRAM: ``dram_base + y_size * x_stride + x_size < 2^34``."""

COUNT_BITS = 17
"""Width of the elements of a row; more than any SRAM holds."""

ZEROS_BITS = 21
"""Width of the zeros before a row: ``30 * (15 + x_size + 15) < 2^21``."""


def index_range(count: int) -> range:
    """The shape of a number below ``count``, a bit at least: Verilog has no wires of no bits."""
    return range(max(count, 2))


def _sum(a, b, c):
    """``a + b + c`` of unsigned numbers with one carry chain, whatever the tool makes of these."""
    return (a ^ b ^ c) + (((a & b) | (b & c) | (c & a)) << 1)


def _times(rows, pitch):
    """``rows * pitch`` for two or three bits of ``rows``, as a sum: no use for a multiplier of the
    part."""
    terms = [Mux(bit, pitch << n, 0) for n, bit in enumerate(rows)]
    return _sum(*terms) if len(terms) == 3 else terms[0] + terms[1]


@dataclass(frozen=True)
class MemoryKind:
    """A memory that a LOAD or STORE can name.

    Attributes
    ----------
    memory : MemId
        What the instruction calls it.
    sram : str
        The SRAM behind it (``inp``, ``wgt``, ``uop``, ``acc``, ``out``); ACC and ACC_8BIT share it.
    elem_bytes : int
        Bytes of an element in DRAM, a power of two.
    sram_bits : int
        Bits of an element in the SRAM: the same, or four times as many: int8 lanes become int32.
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
        dram = "acc8" if memory is MemId.ACC_8BIT else sram
        return MemoryKind(
            memory=memory,
            sram=sram,
            elem_bytes=getattr(cfg, f"{dram}_elem_bytes"),
            sram_bits=getattr(cfg, f"{sram}_elem_bits"),
            log_depth=getattr(cfg, f"log_{sram}_depth"),
        )


class Row(data.StructLayout):
    """A row: first ``zeros`` elements of zero, then ``count`` elements of DRAM.

    ``first`` and ``last`` mark the ends of the instruction; ``sram``, the index of its first
    element, holds for the row with ``first``. ``kind`` counts the kinds of the generator. The row
    lies in ``beats`` bus beats from ``addr`` on (aligned to the bus) and begins ``offset`` bytes
    into the first. A row without elements (``count = beats = 0``) asks nothing of the bus.
    """

    def __init__(self, *, kinds: int, addr_bits: int, data_bits: int) -> None:
        super().__init__({
            "kind": index_range(kinds), "sram": 16, "first": 1, "last": 1,
            "zeros": ZEROS_BITS, "count": COUNT_BITS,
            "addr": addr_bits, "beats": BEATS_BITS, "offset": range(data_bits // 8),
        })  # fmt: skip


class RowGenerator(wiring.Component):
    """Turns transfers into rows. Rows that follow each other in DRAM and in the SRAM become one.

    Parameters
    ----------
    insn : Format
        The layout of LOAD and STORE (``Isa.memory``).
    kinds : tuple of MemoryKind
        The memories that requests may name.
    addr_bits, data_bits : int
        Of the bus.
    source : Source
        Who reports the errors.

    Attributes
    ----------
    request : stream of the instruction layout, in
        Legal transfers. One of no columns becomes one row with nothing in it.
    row : stream of Row, out
        In order, one a cycle. The first row comes ``LATENCY`` cycles after its request.
    error : ErrorLayout, out
        ADDRESS, with the byte address of the first row that does not fit the bus. No row follows.
    """

    LATENCY = 6

    def __init__(
        self,
        insn: Format,
        kinds: tuple[MemoryKind, ...],
        *,
        addr_bits: int,
        data_bits: int,
        source: Source,
    ) -> None:
        self.insn, self.kinds, self.source = insn, kinds, source
        self.addr_bits, self.data_bits = addr_bits, data_bits
        row = Row(kinds=len(kinds), addr_bits=addr_bits, data_bits=data_bits)
        super().__init__({
            "request": In(stream.Signature(layout_of(insn))),
            "row": Out(stream.Signature(row)),
            "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()

        # A transfer is prepared (pitch, then products, then the plan), its rows are walked, their
        # element indices become addresses. Each stage empties into the next; while it is prepared
        # no other is taken. A skid buffer offers the rows: there is no combinational path from the
        # bus to the acceptance of an instruction.
        m.submodules.skid = self._skid = SkidBuffer(self.row.payload.shape())
        wiring.connect(m, self._skid.o, wiring.flipped(self.row))
        pitched = Signal()
        multiplied = Signal()
        prepared = Signal()
        walk_ready = Signal()
        insn = Signal(layout_of(self.insn))
        pitch = Signal(range(2**16 + 30))
        trail_rows = Signal(5)
        m.d.comb += self.request.ready.eq(~pitched)
        m.d.sync += multiplied.eq(pitched)
        with m.If(self.request.ready):
            new = self.request.payload
            m.d.sync += [
                pitched.eq(self.request.valid),
                insn.eq(new),
                pitch.eq(_sum(new.x_pad_0, new.x_size, new.x_pad_1)),
                trail_rows.eq(new.y_pad_1 + Mux(new.y_size == 0, new.y_pad_0, 0)),
            ]

        plan = Signal(self._plan_layout())
        parts = self._multiply(m, insn, pitch, trail_rows)
        with m.If(walk_ready):
            m.d.sync += prepared.eq(0)
        with m.If(multiplied & ~prepared):
            m.d.sync += [prepared.eq(1), pitched.eq(0), multiplied.eq(0)]
            self._prepare(m, plan, insn, parts)

        walked, walk = self._walk(m, plan, prepared, walk_ready)
        self._address(m, walked, walk)
        return m

    def _plan_layout(self) -> data.StructLayout:
        """A transfer as the walk needs it: ``rows`` rows of ``count`` elements, zeros counted."""
        return data.StructLayout({
            "kind": index_range(len(self.kinds)), "sram": 16, "element": 32, "stride": 16,
            "rows": 16, "count": COUNT_BITS, "moves": 1,
            "lead": ZEROS_BITS, "between": 5, "trail": ZEROS_BITS,
        })  # fmt: skip

    def _multiply(self, m, insn, pitch, trail_rows):
        """What the plan of a transfer is made of, a cycle later: its elements, and the zeros in the
        rows before and behind those that are read (each as three parts that are yet to be added);
        rows are ``pitch`` wide with their padding."""
        parts = Signal(
            data.StructLayout({
                "kind": index_range(len(self.kinds)),
                "moves": 1, "one_row": 1, "total": 32,
                **{f"{name}_{part}": ZEROS_BITS for name in ("lead", "trail")
                   for part in ("low", "high", "beside")},
            })
        )  # fmt: skip
        for index, kind in enumerate(self.kinds):
            with m.If(insn.memory == kind.memory):
                m.d.sync += parts.kind.eq(index)
        some_rows = insn.y_size != 0
        gapless = (insn.x_stride == insn.x_size) & (insn.x_pad_0 == 0) & (insn.x_pad_1 == 0)
        m.d.sync += [
            parts.moves.eq(insn.x_size != 0),
            parts.one_row.eq(some_rows & gapless),
            parts.total.eq(insn.x_size * insn.y_size),
            parts.lead_low.eq(_times(insn.y_pad_0[:2], pitch)),
            parts.lead_high.eq(_times(insn.y_pad_0[2:], pitch)),
            parts.lead_beside.eq(insn.x_pad_0),
            parts.trail_low.eq(_times(trail_rows[:2], pitch)),
            parts.trail_high.eq(_times(trail_rows[2:], pitch)),
            parts.trail_beside.eq(Mux(some_rows, insn.x_pad_1, 0)),
        ]
        return parts

    def _prepare(self, m, plan, insn, parts):
        """Make the plan of a transfer."""
        m.d.sync += [
            plan.kind.eq(parts.kind),
            plan.sram.eq(insn.sram_base),
            plan.element.eq(insn.dram_base),
            plan.stride.eq(insn.x_stride),
            plan.rows.eq(insn.y_size),
            plan.count.eq(insn.x_size),
            plan.moves.eq(parts.moves),
            plan.lead.eq(_sum(parts.lead_low, parts.lead_high << 2, parts.lead_beside)),
            plan.between.eq(insn.x_pad_0 + insn.x_pad_1),
            plan.trail.eq(_sum(parts.trail_low, parts.trail_high << 2, parts.trail_beside)),
        ]
        with m.If(~parts.moves):
            m.d.sync += [plan.rows.eq(0), plan.trail.eq(0)]
        with m.Elif(parts.one_row):
            # More elements than COUNT_BITS counts are more than an SRAM has: clip them.
            beyond = parts.total[COUNT_BITS:].any()
            m.d.sync += [plan.rows.eq(1), plan.count.eq(Mux(beyond, ~0, parts.total))]

    def _walk(self, m, plan, prepared, walk_ready):
        """The rows of a plan, as (valid, registers): element indices, not yet addresses."""
        layout = data.StructLayout({
            "kind": index_range(len(self.kinds)), "sram": 16, "first": 1, "last": 1,
            "zeros": ZEROS_BITS, "count": COUNT_BITS, "moves": 1,
            "element": ELEMENT_BITS, "end": ELEMENT_BITS,
        })  # fmt: skip
        walk = Signal(layout)
        walked = Signal()
        at = Signal(self._plan_layout())
        element = Signal(ELEMENT_BITS)
        zeros = Signal(ZEROS_BITS)
        active = Signal()
        first = Signal()
        no_trail = Signal()
        advance = Signal()
        ends = Signal()
        m.d.comb += [
            advance.eq(~walked | self._skid.i.ready),
            ends.eq((at.rows == 0) | ((at.rows == 1) & no_trail)),
            walk_ready.eq(~active | (advance & ends)),
        ]
        with m.If(advance):
            m.d.sync += [
                walked.eq(active),
                walk.kind.eq(at.kind),
                walk.sram.eq(at.sram),
                walk.first.eq(first),
                walk.last.eq(ends),
                walk.element.eq(element),
            ]
            with m.If(at.rows == 0):
                m.d.sync += [walk.zeros.eq(at.trail), walk.count.eq(0), walk.end.eq(0)]
                m.d.sync += walk.moves.eq(0)
            with m.Else():
                m.d.sync += [
                    walk.zeros.eq(zeros),
                    walk.count.eq(at.count),
                    walk.moves.eq(at.moves),
                    walk.end.eq(element + at.count),
                    element.eq(element + at.stride),
                    zeros.eq(at.between),
                    at.rows.eq(at.rows - 1),
                ]
            m.d.sync += first.eq(0)
        with m.If(walk_ready):
            m.d.sync += [
                active.eq(prepared),
                first.eq(1),
                at.eq(plan),
                no_trail.eq(plan.trail == 0),
                element.eq(plan.element),
                zeros.eq(plan.lead),
            ]
        return walked, walk

    def _address(self, m, walked, walk):
        """Byte addresses and beats of the row in ``walk``, or an error if it leaves the bus."""
        log_beat = (self.data_bits // 8).bit_length() - 1
        # The widest element is one page.
        begin = Signal(ELEMENT_BITS + 12)
        end = Signal(ELEMENT_BITS + 12)
        size = Signal(COUNT_BITS + 12)
        shifts = [kind.log_bytes for kind in self.kinds]
        offset = begin[:log_beat]
        m.d.comb += [
            begin.eq(Array(walk.element << shift for shift in shifts)[walk.kind]),
            end.eq(Array(walk.end << shift for shift in shifts)[walk.kind]),
            size.eq(Array(walk.count << shift for shift in shifts)[walk.kind]),
        ]
        bad = walked & (end > 1 << self.addr_bits)
        row = self._skid.i.payload
        m.d.comb += [
            self._skid.i.valid.eq(walked & ~bad & (self.error.code == ErrorCode.NONE)),
            row.kind.eq(walk.kind),
            row.sram.eq(walk.sram),
            row.first.eq(walk.first),
            row.last.eq(walk.last),
            row.zeros.eq(walk.zeros),
            row.count.eq(walk.count),
            row.addr.eq(begin[log_beat:] << log_beat),
            row.offset.eq(offset),
            row.beats.eq(Mux(walk.moves, _sum(size, offset, (1 << log_beat) - 1) >> log_beat, 0)),
        ]
        with m.If(bad & (self.error.code == ErrorCode.NONE)):
            m.d.sync += [
                self.error.code.eq(ErrorCode.ADDRESS),
                self.error.source.eq(self.source),
                self.error.addr.eq(begin),
            ]
