"""Hazard detection of the ALU: cycle 0 of a micro-op, and the two slots of the READ stage.

A micro-op reads the tiles ``acc[dst]`` and ``acc[src]`` (unless ``src`` is the immediate) and
writes ``acc[dst]``. Micro-ops enter the pipeline in program order, one a cycle at most, and write
in the same order. The hazards:

===================  ===================================  ==============================  =========
hazard               between                              resolution                      cost
===================  ===================================  ==============================  =========
RAW, older in OP     an operand and the ``dst`` of the    forwarding from EX1             0 cycles
                     micro-op issued a cycle before
RAW, older in OP,    the same                             stall, then forwarding          1 cycle
and a two-cycle                                           from EX2
operation
RAW, older in EX1,   an operand and ``dst`` of an older   forwarding from EX2, from WB,   0 cycles
EX2, WB              micro-op                             after WB
RAW on an early      ``src`` and the ``dst`` of the       no early source read;           0 cycles
source read          micro-op in the early slot           forwarding once the older one
                                                          is in OP
bank conflict        ``dst`` and ``src`` of one           early source read: ``src`` a    1 cycle,
                     micro-op: two tiles in one bank      cycle before ``dst``            once (1)
bank conflict        ``src`` and the ``dst`` of the       no early source read            1 cycle
                     micro-op in the early slot
reserved bank        GEMM reads the bank of an operand    stall                           as long as
                     now, or writes that of ``dst`` when                                  reserved
                     the ALU would
WAR                  a tile that an older micro-op reads  none: a write comes four        0 cycles
                     and a younger one writes             cycles after the read of the
                                                          same micro-op
WAW                  two micro-ops with one ``dst``       none: writes are in program     0 cycles
                                                          order
RAW, the older one   an operand and the ``dst`` of an     stall before HAZARD             4 cycles
is a REQUANTISE      older micro-op before WB             (:mod:`.alu_requantise`)        at most
===================  ===================================  ==============================  =========

(1) While the micro-op in the early slot reads ``dst``, the next one reads its ``src``, so a run of
such micro-ops pays once, as long as no ``src`` is in the bank of the next older ``dst`` (tiles 0
and 7, 1 and 6, 2 and 5 are in one bank; A: ``dst`` 0 and ``src`` 7; B: 1 and 6; C: 2 and 5)::

    cycle of READ   0         1         2         3
    current slot    A src     B src     C src
    early slot                A dst     B dst     C dst
    issued                    A         B         C

Stages are named in :mod:`vta.hw.compute.alu_pipeline`. Every comparison of two indices is made in
the cycle in which a micro-op is accepted, and kept in registers, so that READ compares nothing.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from vta.config import VTAConfig
from vta.hw.compute.accumulators import bank_index, bank_select, log_banks
from vta.hw.compute.alu_lane import is_two_cycle
from vta.hw.compute.sequencer import IndexedUopLayout

__all__ = [
    "FORWARDING_STAGES",
    "AluHazards",
    "InFlightLayout",
    "OperandSource",
    "ReadCandidateLayout",
    "forwarding_sources",
]

FORWARDING_STAGES = 4
"""Stages between READ and the accumulators, in which a tile is newer than its bank: OP, EX1, EX2,
WB."""


class OperandSource(enum.Enum, shape=7):
    """Source of an operand in stage OP, one bit each (one-hot). Without a bit the operand is 0."""

    BANK = 1
    """Data of the read port, read in READ."""
    EX1 = 2
    """Forwarded from stage EX1: the result of a one-cycle operation."""
    EX2 = 4
    """Forwarded from stage EX2: the result of any operation."""
    WB = 8
    """Forwarded from stage WB: the result is being written."""
    AFTER_WB = 16
    """Forwarded from the register behind WB: the result was written in the cycle of the read."""
    EARLY = 32
    """Data of an early source read (``src`` only)."""
    IMMEDIATE = 64
    """The immediate of the instruction (``src`` only)."""


class InFlightLayout(data.StructLayout):
    """A micro-op in a stage from OP on.

    ``valid``: the stage holds a micro-op that writes tile ``dst``. ``last``: the last micro-op of
    an instruction is in this stage (an empty instruction has ``last`` without ``valid``).
    """

    def __init__(self, log_depth: int) -> None:
        super().__init__({"valid": 1, "last": 1, "dst": log_depth})


class OperandHazardsLayout(data.StructLayout):
    """Hazard information of one operand, valid in the current cycle.

    ``producers``: for each of OP, EX1, EX2, WB, whether the micro-op there writes the tile.
    ``bank_unless_op``: the operand is needed and no producer is in EX1, EX2 or WB, so that the
    tile comes from its bank unless a producer is in OP. ``is_older_dst``: the tile is the ``dst``
    of the next older micro-op in READ. ``bank``: a bit for each bank, that of the tile.
    """

    def __init__(self, *, banks: int) -> None:
        super().__init__({
            "producers": FORWARDING_STAGES, "bank_unless_op": 1, "is_older_dst": 1, "bank": banks,
        })  # fmt: skip


class SlotLayout(data.StructLayout):
    """A micro-op in READ with its hazard information.

    ``raw_stall``: the producer of an operand is in OP and is a two-cycle operation.
    ``bank_conflict``: ``dst`` and ``src`` are different tiles in one bank.
    ``src_conflicts_older_dst``: ``src`` and the ``dst`` of the next older micro-op in READ are
    different tiles in one bank.
    """

    def __init__(self, uop: IndexedUopLayout, *, banks: int) -> None:
        operand = OperandHazardsLayout(banks=banks)
        super().__init__({
            "uop": uop, "dst": operand, "src": operand,
            "raw_stall": 1, "bank_conflict": 1, "src_conflicts_older_dst": 1,
        })  # fmt: skip


class OperandCandidateLayout(data.StructLayout):
    """What READ needs to know of an operand.

    ``source``: its source in the next cycle, if the micro-op is issued in this one. ``read``: the
    operand is to be read from its bank. ``select``: the same, or both slots have this tile; it is
    known earlier. ``ready``: nothing stalls the operand.
    """

    def __init__(self) -> None:
        super().__init__({"source": OperandSource, "read": 1, "select": 1, "ready": 1})


class ReadCandidateLayout(data.StructLayout):
    """A micro-op that READ may issue.

    ``dst.ready``: no RAW stall, the bank is not reserved, and no bank conflict with ``src``.
    ``src.ready``: the bank is not reserved.
    """

    def __init__(self, uop: IndexedUopLayout) -> None:
        super().__init__({
            "valid": 1, "uop": uop,
            "dst": OperandCandidateLayout(), "src": OperandCandidateLayout(),
        })  # fmt: skip


def forwarding_sources(log_beats: int = 0) -> tuple[int, ...]:
    """What an operand can be forwarded from, the oldest result first.

    A beat depends on beats of older micro-ops with the same number only, and these were issued at
    least ``2**log_beats`` cycles before: their results are that much older.
    """
    oldest_first = (OperandSource.AFTER_WB, OperandSource.WB, OperandSource.EX2, OperandSource.EX1)
    return oldest_first[: FORWARDING_STAGES + 1 - (1 << log_beats)]


def forwarding_source(producers, log_beats: int = 0):
    """Source of an operand in the next cycle: its youngest producer, which is then a stage further,
    or its bank if it has none."""
    source = OperandSource.BANK
    sources = forwarding_sources(log_beats)
    for is_producer, stage in zip(reversed(producers[-len(sources) :]), sources, strict=True):
        source = Mux(is_producer, stage, source)
    return source


def one_cycle_later(producers, issued_now):
    """The producers of an operand in the next cycle: each a stage further, the one that is issued
    now in OP."""
    return Cat(issued_now, producers[:-1])


class AluHazards(wiring.Component):
    """Accepts micro-ops, compares their tiles with those of older ones, and says what stalls them.

    READ holds two micro-ops at most. The **current** slot has the one that was accepted last. The
    **early** slot has the next older one if its ``src`` was read early and its ``dst`` was not read
    yet. Each cycle the hazard information of both is advanced: producers move one stage on, and the
    micro-op that is issued becomes the producer in OP.

    Parameters
    ----------
    uop : IndexedUopLayout
        With ``dst``, ``src`` and the instruction's ``alu_opcode``, ``use_imm``.
    log_depth : int
        log2 of the number of tiles, or of parts of tiles.
    starts_runs : bool
        Whether ``insn`` has ``start``: the micro-op reads no ``dst``, in its place is 0.
    most_banks : int
        log2 of the largest number of banks.
    log_beats : int
        log2 of the parts of a tile. An index is that of a part: its low ``log_beats`` bits are the
        part of the tile, which is in the bank of the tile.

    Attributes
    ----------
    uop : stream, in
        Micro-ops in program order. Ready if the current slot is empty or is left in this cycle.
    in_flight : In(array of InFlightLayout)
        The stages OP, EX1, EX2, WB.
    dst_reserved, src_reserved : In
        A bit for each bank, as of :class:`~vta.hw.compute.accumulators.Accumulators`.
    early, current : Out(ReadCandidateLayout)
        The two slots. ``early`` is the older one, needs no read of ``src``, and is issued in each
        cycle in which it is ``valid`` and ``early.dst.ready``.
    current_leaves : In(1)
        The micro-op in the current slot, if there is one, is issued or moves to the early slot.
    current_to_early : In(1)
        The micro-op in the current slot moves to the early slot.
    """

    LATENCY = 1
    """Cycles from ``uop`` to ``current``."""

    def __init__(
        self, uop: IndexedUopLayout, *, log_depth: int, starts_runs: bool = False,
        most_banks: int = VTAConfig.log_acc_banks, log_beats: int = 0,
    ) -> None:  # fmt: skip
        self.starts_runs, self.most_banks, self.log_beats = starts_runs, most_banks, log_beats
        self.banks = banks = 1 << log_banks(log_depth - log_beats, most_banks)
        in_flight = data.ArrayLayout(InFlightLayout(log_depth), FORWARDING_STAGES)
        super().__init__({
            "uop": In(stream.Signature(uop)),
            "in_flight": In(in_flight),
            "dst_reserved": In(banks), "src_reserved": In(banks),
            "early": Out(ReadCandidateLayout(uop)), "current": Out(ReadCandidateLayout(uop)),
            "current_leaves": In(1), "current_to_early": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        slot = SlotLayout(self.uop.payload.shape(), banks=self.banks)
        current = Signal(slot, reset_less=True)
        early = Signal(slot, reset_less=True)
        current_valid = Signal()
        early_valid = Signal()
        m.d.comb += [
            self.current.valid.eq(current_valid),
            self.early.valid.eq(early_valid),
            self.uop.ready.eq(~current_valid | self.current_leaves),
        ]
        with m.If(self.uop.ready):
            m.d.sync += current_valid.eq(self.uop.valid)
        with m.If(self.current_to_early):
            m.d.sync += early_valid.eq(1)
        with m.Elif(self.early.dst.ready):
            m.d.sync += early_valid.eq(0)
        self._drive_candidates(m, current, early)
        self._update_current(m, current, early)
        self._update_early(m, current, early)
        return m

    def _drive_candidates(self, m: Module, current, early) -> None:
        """READ: what each slot reads from the banks, and what stalls it, from registers only."""
        dst_in_bank, src_in_bank, early_dst_in_bank = (
            operand.bank_unless_op & ~operand.producers[0]
            for operand in (current.dst, current.src, early.dst)
        )
        src_first = dst_in_bank & src_in_bank & current.bank_conflict
        src_conflicts = self.early.valid & early_dst_in_bank & current.src_conflicts_older_dst
        src_blocked = src_conflicts | (self.early.valid & current.src.is_older_dst)
        m.d.comb += [
            self.current.uop.eq(current.uop),
            self.current.dst.source.eq(self._dst_source(current)),
            self.current.dst.read.eq(dst_in_bank & ~src_first),
            self.current.dst.ready.eq(
                ~current.raw_stall & self._free(self.dst_reserved, current.dst) & ~src_first
            ),
            self.current.src.source.eq(
                Mux(
                    current.uop.insn.use_imm,
                    OperandSource.IMMEDIATE,
                    forwarding_source(current.src.producers, self.log_beats),
                )
            ),
            self.current.src.read.eq(src_in_bank & ~src_blocked),
            self.current.src.select.eq(src_in_bank & ~src_conflicts),
            self.current.src.ready.eq(self._free(self.src_reserved, current.src)),
            self.early.uop.eq(early.uop),
            self.early.dst.source.eq(self._dst_source(early)),
            self.early.dst.read.eq(early_dst_in_bank),
            self.early.dst.ready.eq(~early.raw_stall & self._free(self.dst_reserved, early.dst)),
            self.early.src.source.eq(OperandSource.EARLY),
            self.early.src.ready.eq(1),
        ]

    def _update_current(self, m: Module, current, early) -> None:
        """Cycle 0: the hazard information of the micro-op that is accepted, or, while the current
        slot keeps its micro-op, that of the next cycle."""
        new, old = self.uop.payload, current.uop
        # The micro-op that is issued in this cycle is in OP in the next one: it is the youngest
        # producer of each operand that is its dst.
        issue_early = self.early.valid & self.early.dst.ready
        # If the current slot accepts a micro-op and the early slot is empty, the micro-op in the
        # current slot leaves: it is issued if its dst is ready, and else moves to the early slot.
        issue_current = self.current.valid & ~old.empty & self.current.dst.ready

        def of_issued(of_early, of_current):
            """A condition on the micro-op that is issued while another one is accepted:
            ``of_early`` if the early slot is issued, ``of_current`` if the current slot is, 0 if
            no micro-op is issued."""
            return Mux(
                self.early.valid, self.early.dst.ready & of_early, issue_current & of_current
            )

        early_is_two_cycle = is_two_cycle(early.uop.insn.alu_opcode)
        current_is_two_cycle = is_two_cycle(old.insn.alu_opcode)
        raw_stall_accepted, raw_stall_kept = [], []
        for name in ("dst", "src"):
            index, operand = new[name], current[name]
            # The next older micro-op is another beat, and has no tile of this one.
            is_early_dst = index == early.uop.dst if self.log_beats < 2 else Const(0)
            is_current_dst = index == old.dst if self.log_beats == 0 else Const(0)
            # is_older_dst: the next older micro-op is in the current slot now, or, if that slot is
            # empty, in the early slot.
            new_needs, old_needs = self._needs(new, name), self._needs(old, name)
            kept_raw = issue_early & operand.is_older_dst
            with m.If(self.uop.ready):
                in_flight = Cat(stage.valid & (stage.dst == index) for stage in self.in_flight)
                issued_now = of_issued(is_early_dst, is_current_dst)
                m.d.sync += [
                    operand.producers.eq(one_cycle_later(in_flight, issued_now)),
                    operand.bank_unless_op.eq(new_needs & ~in_flight[:-1].any()),
                    operand.is_older_dst.eq(Mux(self.current.valid, is_current_dst, is_early_dst)),
                    operand.bank.eq(bank_select(1, index[self.log_beats :], self.most_banks)),
                ]
            with m.Else():
                m.d.sync += [
                    operand.producers.eq(one_cycle_later(operand.producers, kept_raw)),
                    operand.bank_unless_op.eq(old_needs & ~operand.producers[:-1].any()),
                ]
            raw_stall_accepted.append(
                new_needs
                & of_issued(
                    early_is_two_cycle & is_early_dst, current_is_two_cycle & is_current_dst
                )
            )
            raw_stall_kept.append(old_needs & early_is_two_cycle & kept_raw)
        m.d.sync += current.raw_stall.eq(
            Mux(self.uop.ready, Cat(raw_stall_accepted).any(), Cat(raw_stall_kept).any())
        )
        with m.If(self.uop.ready):
            m.d.sync += [
                current.uop.eq(new),
                current.bank_conflict.eq(self._conflict(new.src, new.dst)),
                current.src_conflicts_older_dst.eq(
                    Mux(
                        self.current.valid,
                        self._conflict(new.src, old.dst),
                        self._conflict(new.src, early.uop.dst),
                    )
                ),
            ]

    def _update_early(self, m: Module, current, early) -> None:
        """The early slot keeps its micro-op while this stalls. Otherwise the early slot copies the
        current slot in each cycle; the copy is valid only after ``current_to_early``."""
        with m.If(self.early.valid & ~self.early.dst.ready):
            m.d.sync += [
                early.raw_stall.eq(0),
                early.dst.producers.eq(one_cycle_later(early.dst.producers, 0)),
                early.dst.bank_unless_op.eq(
                    self._needs_dst(early.uop) & ~early.dst.producers[:-1].any()
                ),
            ]
        with m.Else():
            # The micro-op in the early slot, if there is one, is issued in this cycle.
            raw = self.early.valid & current.dst.is_older_dst
            needs_dst = self._needs_dst(current.uop)
            m.d.sync += [
                early.eq(current),
                early.raw_stall.eq(raw & needs_dst & is_two_cycle(early.uop.insn.alu_opcode)),
                early.dst.producers.eq(one_cycle_later(current.dst.producers, raw)),
                early.dst.bank_unless_op.eq(needs_dst & ~current.dst.producers[:-1].any()),
            ]

    def _needs(self, uop, operand: str):
        """Whether a micro-op needs the tile ``operand`` at all."""
        return ~uop.empty & (~uop.insn.use_imm if operand == "src" else self._needs_dst(uop))

    def _needs_dst(self, uop):
        """Whether a micro-op reads its ``dst``: the first one of a run that starts does not."""
        return ~uop.insn.start if self.starts_runs else 1

    def _dst_source(self, slot):
        """Source of ``dst`` in the next cycle."""
        source = forwarding_source(slot.dst.producers, self.log_beats)
        return Mux(self._needs_dst(slot.uop), source, 0) if self.starts_runs else source

    @staticmethod
    def _free(reserved, operand):
        """Whether the bank of an operand is not reserved."""
        return ~(reserved & operand.bank).any()

    def _conflict(self, one, other):
        """Whether two tiles, or parts of tiles, differ and are in one bank."""
        if self.banks == 1:
            return one != other

        def bank(index):
            tile = index[self.log_beats :]
            return bank_index(tile, len(tile), self.most_banks)

        same_bank = bank(one) == bank(other)
        return same_bank & (one != other)
