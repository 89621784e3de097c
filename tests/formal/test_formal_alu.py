"""The ALU's pipeline: every result is that of a machine that executes one micro-op after another.

Hazard detection, operand fetch and forwarding are the real ones; the lanes are small and have only
one operation of each kind (:class:`SmallLane`), since what a lane computes is no matter here.
"""

from itertools import pairwise

import pytest
from amaranth.hdl import Assert, Assume, Cover, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, constant, hold, reach, refute
from vta.config import VTAConfig
from vta.hw.compute import alu_hazards, alu_operands, alu_pipeline, alu_requantise
from vta.hw.compute.accumulators import bank_index
from vta.hw.compute.alu_lane import is_two_cycle
from vta.hw.compute.alu_product import OperationLayout
from vta.hw.compute.sequencer import Index, IndexedUopLayout
from vta.isa import LIMITS, AluOpcode, Isa

LOG_DEPTH, LANE_BITS = 2, 1
TILES = 1 << LOG_DEPTH
DEPTH = 11
"""Cycles: a micro-op that is accepted in the first one is written in the sixth, and may forward its
result, after WB too, to one that is written in the tenth; one that reads an unforwarded result is
accepted in the sixth at the earliest, and written in the eleventh."""
QUEUE = 6
"""Micro-ops in the pipeline, at most: two in READ, four behind it."""


def uop_layout(log_depth):
    """A micro-op, or a beat of one, with indices of ``log_depth`` bits."""
    return IndexedUopLayout(
        Isa.of(VTAConfig.preset("tiny")).alu,
        (Index("dst", log_depth), Index("src", log_depth, "use_imm")),
        ("alu_opcode", "use_imm", "imm", "start"),
    )


def operation(is_long, x, y):
    """``x ^ y`` for a one-cycle operation and REQUANTISE, ``x ^ ~y`` for a two-cycle one: each bit
    of an operand changes the result."""
    return Mux(is_long, x ^ ~y, x ^ y)[:LANE_BITS]


class SmallLane(wiring.Component):
    """The stages of the real lane, with :func:`operation`. ``ex1_result`` of a two-cycle operation
    is wrong, and so are both results before WB of REQUANTISE, whose result depends on its limits
    too."""

    def __init__(
        self, *, requantises: bool, multiplies: bool, dsp48: bool, wide_luts: bool
    ) -> None:
        assert requantises and multiplies
        super().__init__({
            "valid": In(1), "operation": In(OperationLayout()),
            "x": In(LANE_BITS), "y": In(LANE_BITS),
            "ex1_result": Out(LANE_BITS), "ex2_result": Out(LANE_BITS),
            "limits": In(LIMITS.bits), "is_requantise": In(1),
            "wb_result": Out(LANE_BITS),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        is_long = self.operation.shr | self.operation.mul
        is_requantise = self.operation.requantise
        result = operation(is_long, self.x, self.y)
        in_ex2 = Signal(LANE_BITS)
        in_wb = Signal(LANE_BITS)
        m.d.comb += [
            self.ex1_result.eq(Mux(is_long | is_requantise, ~result, result)),
            self.wb_result.eq(in_wb),
        ]
        with m.If(self.valid):
            m.d.sync += [
                in_ex2.eq(result), self.ex2_result.eq(Mux(is_requantise, ~result, result))
            ]  # fmt: skip
        m.d.sync += in_wb.eq(Mux(self.is_requantise, in_ex2 ^ self.limits[:LANE_BITS], 0))
        # The real lane requires that the operation is held until the next one.
        held, is_held = Signal(OperationLayout()), Signal()
        with m.If(self.valid):
            m.d.sync += [held.eq(self.operation), is_held.eq(1)]
        is_same = self.operation.as_value() == held.as_value()
        m.d.comb += Assert(self.valid | ~is_held | is_same)
        return m


class ResultsInOrder(Properties):
    """The reference executes each micro-op in the cycle in which it is accepted, on tiles of its
    own; its results wait in a queue. In WB is the oldest of them, on the port. It is written then,
    or left out, if the next one, of the same tile and instruction, is in WB in the next cycle.

    A read returns the tile as the last write left it, a read of a reserved bank anything, and so
    does a port in a cycle after no read.
    """

    def __init__(self, pipeline=alu_pipeline, log_beats=0, wide_luts=False, **components):
        """``pipeline``: the module, or a broken one. ``log_beats``: log2 of the parts of a tile.
        ``wide_luts``: of the pipeline. ``components``: broken ones to put into it, by name."""
        self.log_beats, self.log_depth = log_beats, LOG_DEPTH + log_beats
        small = shrunk(pipeline, AluLane=SmallLane, LANE_BITS=LANE_BITS, **components)
        block = small.AluPipeline(
            uop_layout(self.log_depth), log_depth=self.log_depth, lanes=1, starts_runs=True,
            log_beats=log_beats, wide_luts=wide_luts,
        )  # fmt: skip
        self.undefined = {name: Signal(LANE_BITS) for name in ("dst", "src")}
        self.power_up = Signal(LANE_BITS)
        super().__init__(block, [*self.undefined.values(), self.power_up])

    def inputs(self):
        driven = [Value.cast(self.block.dst_read.data), Value.cast(self.block.src_read.data)]
        return [one for one in super().inputs() if not any(one is other for other in driven)]

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block, uop = self.block, self.block.uop.payload
        opcode = uop.insn.alu_opcode
        m.d.comb += [
            Assume(~uop.empty),
            Assume(~uop.insn.start | (opcode == AluOpcode.ADD)),
            Assume(
                (opcode == AluOpcode.ADD)
                | (opcode == AluOpcode.MUL)
                | ((opcode == AluOpcode.REQUANTISE) & ~uop.insn.use_imm)
            ),
        ]
        self._ahead(m)
        if self.log_beats:
            self._beats(m, uop)
        power_up = constant(m, self.power_up)
        self._memory(m, power_up)
        accepted = block.uop.valid & block.uop.ready
        result = self._reference(m, accepted, uop, power_up)

        # The queue of expected results, the oldest first.
        expected = [
            Signal(
                data.StructLayout({"dst": self.log_depth, "value": LANE_BITS, "last": 1}),
                name=f"expected{n}",
            )
            for n in range(QUEUE)
        ]
        count = Signal(range(QUEUE + 1))
        written = block.write.mask
        *_, next_in_wb, in_wb = delays = [
            Signal(name=f"issued{n}") for n in range(block.LATENCY + 1)
        ]
        m.d.comb += delays[0].eq(block.tile)
        m.d.sync += [later.eq(one) for one, later in pairwise(delays)]
        left = Signal.like(count)
        is_continued = next_in_wb & (expected[1].dst == expected[0].dst) & ~expected[0].last
        m.d.comb += [
            left.eq(count - in_wb),
            Assert(~in_wb | (count != 0)),
            Assert(~written | in_wb),
            Assert(~in_wb | written | ((count > 1) & is_continued)),
            Assert(~in_wb | (block.write.addr == expected[0].dst)),
            Assert(~in_wb | (block.write.data == expected[0].value)),
            Assert(~accepted | (left < QUEUE)),
        ]
        m.d.sync += count.eq(left + accepted)
        with m.If(in_wb):
            m.d.sync += [one.eq(younger) for one, younger in pairwise(expected)]
        with m.If(accepted):
            for n, one in enumerate(expected):
                with m.If(left == n):
                    m.d.sync += [
                        one.dst.eq(uop.dst), one.value.eq(result), one.last.eq(uop.last)
                    ]  # fmt: skip
        self._reach(m, count)
        return m

    def _ahead(self, m):
        """A micro-op is offered until it is accepted, and was announced in the cycle before it is
        offered for the first time."""
        offer = self.block.uop
        is_kept, is_announced = Signal(), Signal()
        before, announced = Signal.like(offer.payload), Signal.like(offer.payload)
        m.d.sync += [
            is_kept.eq(offer.valid & ~offer.ready), before.eq(offer.payload),
            is_announced.eq(~offer.valid | offer.ready), announced.eq(self.block.ahead),
        ]  # fmt: skip
        is_same = offer.payload.as_value() == before.as_value()
        is_next = offer.payload.as_value() == announced.as_value()
        m.d.comb += [
            Assume(~is_kept | (offer.valid & is_same)),
            Assume(~(is_announced & offer.valid) | is_next),
        ]

    def _memory(self, m, power_up):
        """The tiles, written by the pipeline alone, behind its two read ports. All of them hold
        ``power_up`` in the first cycle."""
        block = self.block
        tiles = data.ArrayLayout(LANE_BITS, TILES << self.log_beats)
        changed = Signal(tiles)  # bits that differ from power_up
        with m.If(block.write.mask):
            m.d.sync += changed[block.write.addr].eq(block.write.data ^ power_up)
        dst, src = block.dst_read, block.src_read
        same_bank = self._bank(dst.addr) == self._bank(src.addr)
        m.d.comb += Assert(~(dst.en & src.en & same_bank & (dst.addr != src.addr)))
        for name, port, reserved in (
            ("dst", dst, block.dst_reserved), ("src", src, block.src_reserved)
        ):  # fmt: skip
            is_defined = Signal(name=f"{name}_is_defined")
            value = Signal(LANE_BITS, name=f"{name}_value")
            is_reserved = reserved.bit_select(self._bank(port.addr), 1)
            m.d.sync += [
                is_defined.eq(port.en & ~is_reserved),
                value.eq(changed[port.addr] ^ power_up),
            ]
            m.d.comb += port.data.eq(Mux(is_defined, value, self.undefined[name]))
        dst_reserved = block.dst_reserved.bit_select(self._bank(dst.addr), 1)
        m.d.comb += Assert(~(block.tile & dst_reserved))

    def _bank(self, index):
        """The bank of a tile, also by the index of a part of it."""
        return bank_index(index[self.log_beats :], LOG_DEPTH)

    def _beats(self, m, uop):
        """Micro-ops come in beats, which differ in the part of the tiles only; the last beat of an
        instruction is the last one of its micro-op."""
        beat, older = Signal(self.log_beats), Signal.like(uop)
        parts = (uop.dst[: self.log_beats], uop.src[: self.log_beats])
        m.d.comb += [Assume(part == beat) for part in parts]
        m.d.comb += Assume(~uop.last | beat.all())
        with m.If(beat != 0):
            m.d.comb += [
                Assume(uop.dst[self.log_beats :] == older.dst[self.log_beats :]),
                Assume(uop.src[self.log_beats :] == older.src[self.log_beats :]),
                Assume(uop.insn == older.insn),
            ]
        with m.If(self.block.uop.valid & self.block.uop.ready):
            m.d.sync += [beat.eq(beat + 1), older.eq(uop)]

    def _reference(self, m, accepted, uop, power_up):
        """Executes a micro-op when it is accepted; returns its result."""
        parts = data.ArrayLayout(LANE_BITS, TILES << self.log_beats)
        changed = Signal(parts, name="reference")
        x, src = changed[uop.dst] ^ power_up, changed[uop.src] ^ power_up
        y = Mux(uop.insn.use_imm, uop.insn.imm[:LANE_BITS], src)
        result = Signal(LANE_BITS)
        tile, beat = uop.dst[self.log_beats :], uop.dst[: self.log_beats]
        tile_before, same_instruction = Signal.like(tile), Signal()
        starts = uop.insn.start & ~(same_instruction & (tile == tile_before))
        limits = Mux(uop.insn.alu_opcode == AluOpcode.REQUANTISE, uop.insn.imm[:LANE_BITS], 0)
        result_of_x = operation(is_two_cycle(uop.insn.alu_opcode), x, y) ^ limits
        m.d.comb += result.eq(Mux(starts, y, result_of_x))
        with m.If(accepted):
            m.d.sync += changed[uop.dst].eq(result ^ power_up)
            with m.If(beat.all()):
                m.d.sync += [tile_before.eq(tile), same_instruction.eq(~uop.last)]
        return result

    def _reach(self, m, count):
        """A full pipeline, with a result that depends on the ones before."""
        block = self.block
        m.d.comb += [
            Cover((count == QUEUE) & block.write.mask & (block.write.data == 1)),
            Cover((count == QUEUE) & ~block.uop.ready),
            Cover((count == 1) & block.uop.valid & ~block.uop.ready),
        ]


@pytest.mark.formal
@pytest.mark.parametrize("wide_luts", [False, True])
@pytest.mark.parametrize("log_beats", [0, 1, 2])
def test_every_result_is_that_of_execution_in_order(log_beats, wide_luts):
    hold(ResultsInOrder(log_beats=log_beats, wide_luts=wide_luts), depth=DEPTH)


BEATS = [
    ("run-of-a-beat", "(accepted.payload.last | beat.all())", "1"),
    ("run-of-a-part", "runs.dst.eq(tile)", "runs.dst.eq(accepted.payload.dst)"),
]


@pytest.mark.formal
@pytest.mark.parametrize(("old", "new"), [row[1:] for row in BEATS], ids=[row[0] for row in BEATS])
def test_broken_beats_are_found(old, new):
    refute(ResultsInOrder(mutant(alu_pipeline, old, new), log_beats=1), depth=DEPTH)


BEATS_OF_HAZARDS = [
    ("stage-missed", "FORWARDING_STAGES + 1 - (1 << log_beats)",
     "FORWARDING_STAGES - (1 << log_beats)"),
    ("early-missed", "index == early.uop.dst if self.log_beats < 2",
     "index == early.uop.dst if self.log_beats < 1"),
]  # fmt: skip


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in BEATS_OF_HAZARDS], ids=[row[0] for row in BEATS_OF_HAZARDS]
)
def test_broken_hazards_of_beats_are_found(old, new):
    broken = mutant(alu_hazards, old, new)
    refute(ResultsInOrder(AluHazards=broken.AluHazards, log_beats=1), depth=DEPTH)


@pytest.mark.formal
def test_the_pipeline_can_be_full():
    reach(ResultsInOrder(), depth=DEPTH)


HAZARDS = [
    ("no-raw-stall", "~current.raw_stall & self._free", "self._free"),
    ("early-src-raw",
     "src_conflicts | (self.early.valid & current.src.is_older_dst)", "src_conflicts"),
    ("early-src-conflict", "early_dst_in_bank & current.src_conflicts_older_dst", "0"),
    ("bank-conflict", "dst_in_bank & src_in_bank & current.bank_conflict", "0"),
    ("early-not-advanced", "one_cycle_later(early.dst.producers, 0)", "early.dst.producers"),
    ("kept-not-advanced", "one_cycle_later(operand.producers, kept_raw)", "operand.producers"),
    ("kept-raw-missed", "kept_raw = issue_early & operand.is_older_dst", "kept_raw = 0"),
    ("issued-now-missed", "one_cycle_later(in_flight, issued_now)",
     "one_cycle_later(in_flight, 0)"),
    ("wrong-stage",
     "(OperandSource.AFTER_WB, OperandSource.WB, OperandSource.EX2, OperandSource.EX1)",
     "(OperandSource.AFTER_WB, OperandSource.WB, OperandSource.EX1, OperandSource.EX2)"),
    ("invalid-producer", "stage.valid & (stage.dst == index)", "(stage.dst == index)"),
    ("early-raw-missed", "raw & needs_dst & is_two_cycle(early.uop.insn.alu_opcode)", "0"),
    ("dst-reserved-ignored", "~early.raw_stall & self._free(self.dst_reserved, early.dst)",
     "~early.raw_stall"),
    ("bank-of-other-operand", "bank_select(1, index[self.log_beats :], self.most_banks)",
     "bank_select(1, new.dst[self.log_beats :], self.most_banks)"),
    ("start-reads-dst", "Mux(self._needs_dst(slot.uop), source, 0)", "source"),
    ("conflict-by-low-bits",
     "bank(one) == bank(other)", "one[:2] == other[:2]"),
]  # fmt: skip
OPERANDS = [
    ("after-wb-is-wb", "OperandSource.AFTER_WB: self.after_wb", "OperandSource.AFTER_WB: self.wb"),
    ("src-reserved-ignored", "src_granted.eq(current.valid & current.src.read & current.src.ready)",
     "src_granted.eq(current.valid & current.src.read)"),
    ("early-src-late", "with m.If(early_data_valid):", "with m.If(self.current_to_early):"),
    ("early-lost", "src_granted & Mux(early.valid, early.dst.ready, ~current.dst.ready)",
     "src_granted & Mux(early.valid, 0, ~current.dst.ready)"),
    ("issued-twice", "& ~early.valid\n", "\n"),
]  # fmt: skip


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in HAZARDS], ids=[row[0] for row in HAZARDS]
)
def test_broken_hazard_detection_is_found(old, new):
    broken = mutant(alu_hazards, old, new)
    refute(ResultsInOrder(AluHazards=broken.AluHazards), depth=DEPTH)


UNFORWARDED = [
    ("dst-ignored", "((ahead.dst == dst) | reads_src)", "reads_src"),
    ("src-ignored", "((ahead.dst == dst) | reads_src)", "(ahead.dst == dst)"),
    ("not-kept", "self.uop.valid & ~stall", "self.uop.valid"),
    ("next-ignored", "Mux(self.current_free, enters,", "Mux(self.current_free, 0,"),
    ("forgotten", "older.valid & reads(older.dst), hits[name])",
     "older.valid & reads(older.dst), 0)"),
    ("current-forgotten", "enters, seen[\"current\"])", "enters, 0)"),
    ("early-forgotten", "self.early_stays & seen[\"early\"]", "0"),
    ("to-early-forgotten", "self.current_to_early, seen[\"current\"]", "self.current_to_early, 0"),
    ("issued-from-early", "Mux(self.is_early, seen[\"early\"]", "Mux(self.is_early, 0"),
    ("issued-from-current", "seen[\"early\"], seen[\"current\"])", "seen[\"early\"], 0)"),
    ("ex1-forgotten", "hits[\"ex2\"].eq(seen[\"ex1\"])", "hits[\"ex2\"].eq(0)"),
]  # fmt: skip
PIPELINE = [
    ("each-starts", "accepted.payload.insn.start & runs.first", "accepted.payload.insn.start"),
    ("run-goes-on", "runs.last.eq(accepted.payload.last)", "runs.last.eq(0)"),
    ("current-ignored", "(current.valid & is_one", "(0 & is_one"),
    ("early-ignored", "(early.valid & is_one", "(0 & is_one"),
    ("op-ignored", "(op.valid & is_one", "(0 & is_one"),
    ("ex1-ignored", "(ex1.valid & ex1_is_one", "(0 & ex1_is_one"),
    ("limits-early", "lane.limits.eq(ex2_limits)", "lane.limits.eq(forwarding.imm)"),
    ("result-late", "lane.is_requantise.eq(ex2_is_one)", "lane.is_requantise.eq(ex1_is_one)"),
    ("result-not-alone", "Mux(ex2_is_unforwarded, 0, ex2_result.as_value())",
     "ex2_result.as_value()"),
    ("deferred-beyond-last", "ex1.last | ~op.valid", "~op.valid"),
    ("deferred-to-none", "ex1.last | ~op.valid | ", "ex1.last | "),
    ("deferred-to-other-tile", "is_other_tile)", "0)"),
]  # fmt: skip


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in UNFORWARDED], ids=[row[0] for row in UNFORWARDED]
)
def test_a_broken_stall_of_unforwarded_results_is_found(old, new):
    broken = mutant(alu_requantise, old, new)
    refute(ResultsInOrder(UnforwardedHazard=broken.UnforwardedHazard), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in PIPELINE], ids=[row[0] for row in PIPELINE]
)
def test_a_broken_pipeline_is_found(old, new):
    refute(ResultsInOrder(mutant(alu_pipeline, old, new)), depth=DEPTH)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"), [row[1:] for row in OPERANDS], ids=[row[0] for row in OPERANDS]
)
def test_broken_operand_fetch_is_found(old, new):
    broken = mutant(alu_operands, old, new)
    properties = ResultsInOrder(
        OperandFetch=broken.OperandFetch, OperandForwarding=broken.OperandForwarding
    )
    refute(properties, depth=DEPTH)


CODES = [
    ("no-source-is-bank", "read = (0, bits[OperandSource.BANK])", "read = (0, 1)"),
    ("early-is-bank", "(bits[OperandSource.EARLY], bits", "(0, bits"),
    ("immediate-everywhere", "self.early_src, imm, late_y]", "self.early_src, late_y, late_y]"),
    ("x-from-y", "one.forwarded, results) for one in (dst, src)",
     "one.forwarded, results) for one in (src, src)"),
]  # fmt: skip


@pytest.mark.formal
@pytest.mark.parametrize(("old", "new"), [row[1:] for row in CODES], ids=[row[0] for row in CODES])
def test_broken_codes_of_operands_are_found(old, new):
    broken = mutant(alu_operands, old, new)
    properties = ResultsInOrder(
        OperandFetch=broken.OperandFetch, OperandForwarding=broken.OperandForwarding,
        wide_luts=True,
    )  # fmt: skip
    refute(properties, depth=DEPTH)
