"""The address generator of loads and stores: exactly the elements of the transfer, in order."""

import pytest
from amaranth.hdl import Assert, Assume, Cover, Mux, Signal, signed

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, constant, hold, reach, refute
from vta.config import VTAConfig
from vta.hw.dma import row_generator
from vta.hw.dma.rows import MemoryKind
from vta.isa import Isa, MemId
from vta.memmap import Source

ISA = Isa.of(VTAConfig.preset("tiny"))
INSN = ISA.memory
DATA_BITS = 64
BEAT = DATA_BITS // 8
DEPTH = 15
SIZES = {
    "x_size": 2, "y_size": 2, "x_stride": 3, "dram_base": 4, "sram_base": 2,
    "x_pad_0": 1, "x_pad_1": 1, "y_pad_0": 1, "y_pad_1": 1,
}  # fmt: skip
"""Bits of the fields that may have any value; the others are 0."""
LARGE = SIZES | {"x_size": 3, "y_size": 3}
"""Transfers of more elements than the smallest memories hold, in each direction."""


def _kinds(log_depth):
    """One with elements smaller than a beat, one with elements wider."""
    return tuple(
        MemoryKind(
            memory=memory, sram=sram, elem_bytes=size, sram_bits=size * 8, log_depth=log_depth
        )
        for memory, sram, size in ((MemId.INP, "inp", 2), (MemId.WGT, "wgt", 32))
    )


class ExactlyTheElements(Properties):
    """Any transfer of up to 3 by 3 elements, strides up to 7 and pads up to 1, again and again, is
    looked at in one place: row ``r``, column ``c``, of what it writes. There the rows must put what
    the transfer says, and after the last row all places must have been passed once.

    With ``stalls`` a row may have to wait for any time before it is taken. Without ``pads`` the
    generator is that of STOREs, and a transfer of elements has no pads.

    A transfer of more elements than the memories hold may have fewer rows, zeros and elements than
    it says, but the first of them, up to one beyond the memory, are right.
    """

    def __init__(
        self, module=row_generator, *, memory=MemId.INP, stalls=False, pads=True, log_depth=8,
        sizes=SIZES,
    ):  # fmt: skip
        self.memory, self.stalls, self.pads, self.depth = memory, stalls, pads, 1 << log_depth
        self.r, self.c = Signal(4), Signal(4)
        self.fields = {name: Signal(bits, name=name) for name, bits in sizes.items()}
        block = module.RowGenerator(
            INSN, _kinds(log_depth), addr_bits=32, data_bits=DATA_BITS, source=Source.LOAD,
            pad_load=ISA.pad_load, pads=pads,
        )  # fmt: skip
        self.has_pad_value, self.pad_value = Signal(), Signal(signed(8))
        free = [self.r, self.c, self.has_pad_value, self.pad_value]
        super().__init__(block, [*free, *self.fields.values()])

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block, row = self.block, self.block.row
        bus, out = row.payload, row.payload.row
        r, c = constant(m, self.r), constant(m, self.c)
        has_pad_value = constant(m, self.has_pad_value)
        pad_value = constant(m, self.pad_value)
        wide = self.memory == MemId.WGT
        insn = Signal.like(block.request.payload)
        m.d.comb += [
            *(insn[name].eq(constant(m, signal)) for name, signal in self.fields.items()),
            insn.memory.eq(self.memory),
            Assume(has_pad_value | (pad_value == 0)),
            block.request.payload.eq(
                insn.as_value()
                | pad_value.as_unsigned() << ISA.pad_load["pad_value"].offset
                | has_pad_value << ISA.pad_load["has_pad_value"].offset
            ),
            *([] if self.stalls else [Assume(row.ready)]),
        ]
        if not self.pads:
            padding = insn.x_pad_0 | insn.x_pad_1 | insn.y_pad_0 | insn.y_pad_1
            m.d.comb += Assume((insn.x_size == 0) | (padding == 0))

        # What the transfer says of the place (r, c), the p-th that is written.
        pitch, height, place, total = Signal(4), Signal(4), Signal(7), Signal(7)
        element = Signal(16)
        is_data = Signal()
        down, right = Signal(3), Signal(3)
        m.d.comb += [
            pitch.eq(insn.x_pad_0 + insn.x_size + insn.x_pad_1),
            height.eq(insn.y_pad_0 + insn.y_size + insn.y_pad_1),
            Assume((r < height) & (c < pitch) | (insn.x_size == 0)),
            place.eq(r * pitch + c),
            total.eq(Mux(insn.x_size == 0, 0, height * pitch)),
            down.eq(r - insn.y_pad_0),
            right.eq(c - insn.x_pad_0),
            is_data.eq(
                (r >= insn.y_pad_0) & (r < insn.y_pad_0 + insn.y_size)
                & (c >= insn.x_pad_0) & (c < insn.x_pad_0 + insn.x_size)
            ),
            element.eq(insn.dram_base + down * insn.x_stride + right),
        ]  # fmt: skip

        # What the rows do: ``at`` places have been passed before this one.
        at, first = Signal(7), Signal(init=1)
        after_zeros, after = Signal(8), Signal(8)
        zeros = out.zeros if self.pads else 0
        log_bytes = 5 if wide else 1
        begin, end = Signal(20), Signal(20)
        m.d.comb += [
            after_zeros.eq(at + zeros),
            after.eq(after_zeros + out.count),
            begin.eq(bus.addr + out.offset),
            end.eq(begin + (out.count << log_bytes)),
        ]
        here = row.valid & (insn.x_size != 0) & (place <= self.depth)
        in_zeros = here & (place >= at) & (place < after_zeros)
        in_data = here & (place >= after_zeros) & (place < after)
        with m.If(row.valid):
            m.d.comb += [
                Assert(out.first == first),
                Assert(~out.first | (out.sram_base == insn.sram_base)),
                Assert(out.kind == wide),
                Assert(out.pad_value == pad_value),
                Assert(zeros <= total),
                Assert(out.count <= total),
                Assert(after <= total),
                Assert(
                    Mux(
                        total <= self.depth,
                        out.last == (after == total),
                        ~out.last | (after > self.depth),
                    )
                ),
                Assert(bus.addr % BEAT == 0),
            ]
            with m.If(out.count == 0):
                m.d.comb += Assert(bus.beats == 0)
            with m.Else():
                m.d.comb += [
                    Assert(bus.addr + bus.beats * BEAT >= end),
                    Assert(bus.addr + bus.beats * BEAT < end + BEAT),
                ]
        with m.If(in_zeros):
            m.d.comb += Assert(~is_data)
        with m.If(in_data):
            m.d.comb += [
                Assert(is_data),
                Assert(begin + ((place - after_zeros) << log_bytes) == element << log_bytes),
            ]
        with m.If(row.valid & row.ready):
            m.d.sync += [at.eq(Mux(out.last, 0, after)), first.eq(out.last)]

        # A row waits, unchanged, until it is taken; a transfer ends as often as it is asked for.
        waited, before = Signal(), Signal.like(row.payload)
        asked = Signal(3)
        m.d.sync += [
            waited.eq(row.valid & ~row.ready),
            before.eq(row.payload),
            asked.eq(
                asked
                + (block.request.valid & block.request.ready)
                - (row.valid & row.ready & out.last)
            ),
        ]
        m.d.comb += [
            Assert(~waited | (row.valid & (row.payload == before))),
            Assert(~row.valid | (asked != 0)),
            Assert(block.error.code == 0),
        ]
        ended = row.valid & row.ready & out.last
        m.d.comb += [
            Cover(ended & (insn.y_size == 3) & (insn.x_size == 2) & (insn.x_stride == 5)),
            Cover(ended & (insn.y_pad_0 == 1) & (insn.y_pad_1 == 1) & (insn.x_pad_1 == 1)),
            Cover(ended & (insn.y_size == 0) & (total == 10)),
            Cover(ended & (insn.x_size == 0) & (insn.y_pad_0 == 1)),
            Cover(in_data & (out.count == 9) & (place == 8) & row.ready),
            Cover(in_data & (r == 2) & (c == 3)),
        ]
        return m


@pytest.mark.formal
@pytest.mark.parametrize("memory", [MemId.INP, MemId.WGT])
def test_rows_are_exactly_the_elements(memory):
    hold(ExactlyTheElements(memory=memory), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize("memory", [MemId.INP, MemId.WGT])
def test_rows_without_pads_are_exactly_the_elements(memory):
    hold(ExactlyTheElements(memory=memory, pads=False), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize("pads", [True, False])
def test_rows_of_too_many_elements_begin_with_the_right_ones(pads):
    hold(ExactlyTheElements(pads=pads, log_depth=1, sizes=LARGE), depth=DEPTH)


@pytest.mark.formal
def test_rows_are_the_same_when_they_have_to_wait():
    hold(ExactlyTheElements(stalls=True), depth=12)


@pytest.mark.formal
@pytest.mark.parametrize("memory", [MemId.INP, MemId.WGT])
def test_transfers_of_all_kinds_happen(memory):
    reach(ExactlyTheElements(memory=memory), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Mux(has_rows, insn.x_pad_0, 0)", "0"),
        ("Mux(new.y_size == 0, new.y_pad_1, 0)", "0"),
        ("Mux(has_rows, insn.x_pad_0, 0)", "insn.x_pad_0"),
        ("rows.eq(Mux(trails, insn.y_pad_1, lead_rows))", "rows.eq(lead_rows)"),
        ("with m.If((current.rows == 0) & ~first):", "with m.If(current.rows == 0):"),
        ("(insn.y_pad_1 == 0) & (insn.x_pad_1 == 0)", "(insn.y_pad_1 == 0)"),
        ("out.between.eq(insn.x_pad_0 + insn.x_pad_1)", "out.between.eq(insn.x_pad_0)"),
        ("element.eq(element + current.stride)", "element.eq(element + current.count)"),
        ("gapless &= (insn.x_pad_0 == 0) & (insn.x_pad_1 == 0)", "gapless &= 1"),
        ("gapless = insn.x_stride == insn.x_size", "gapless = insn.x_size == insn.x_size"),
        ("products.has_columns.eq(insn.x_size != 0)",
         "products.has_columns.eq(insn.x_stride != 0)"),
        ("has_rows & gapless", "gapless"),
        ("last.eq((current.rows == 0) | ((current.rows == 1) & no_trail))",
         "last.eq(current.rows == 0)"),
        ("_sum(size, offset, (1 << log_beat) - 1)", "(size + (1 << log_beat) - 1)"),
        ("advance.eq(~self.row.valid | self.row.ready)", "advance.eq(1)"),
        ("saturated(current.between, self.bits)", "saturated(current.lead, self.bits)"),
        ("out.element.eq(load.dram_base)", "out.element.eq(insn.dram_base)"),
        ("row_out.pad_value.eq(current.pad_value)", "row_out.pad_value.eq(0)"),
    ],
    ids=["lead-without-x", "no-rows-half", "no-rows-too-wide", "trail-is-lead",
         "no-rows-are-trail", "trail-lost", "between-half",
         "stride-ignored", "pads-ignored", "gaps-ignored", "nop-moves", "no-rows",
         "empty-row-at-end", "offset-ignored", "row-not-held", "zeros-of-first",
         "pad-value-in-address", "pad-value-lost"],
)  # fmt: skip
def test_broken_row_generators_are_found(old, new):
    refute(ExactlyTheElements(mutant(row_generator, old, new), stalls=True), depth=13)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("overflow = pitch[self.bits :].any() | wide", "overflow = wide"),
        ("overflow = pitch[self.bits :].any() | wide", "overflow = pitch[self.bits :].any()"),
        ("y_count.eq(saturated(new.y_size, self.bits))", "y_count.eq(new.y_size)"),
        ("x_count.eq(saturated(new.x_size, self.bits))", "x_count.eq(new.x_size)"),
        ("out.count.eq(saturated(parts.elements, self.bits))", "out.count.eq(parts.elements)"),
        ("zeros.eq(saturated(new.lead, self.bits))", "zeros.eq(new.lead)"),
        ("trail.eq(saturated(self.trail, self.bits))", "trail.eq(self.trail)"),
    ],
    ids=["pitch-wraps", "wide-rows-wrap", "rows-wrap", "columns-wrap", "elements-wrap",
         "lead-wraps", "trail-wraps"],
)  # fmt: skip
def test_numbers_that_wrap_are_found(old, new):
    broken = mutant(row_generator, old, new)
    refute(ExactlyTheElements(broken, log_depth=1, sizes=LARGE), depth=13)
