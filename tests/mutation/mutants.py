"""Faults to put into the RTL, each a change of one place in one source file."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True)
class Mutant:
    """A fault.

    Attributes
    ----------
    name : str
        Short, for the command line and the table.
    what : str
        What the hardware then does wrong.
    file : str
        In ``hw/``.
    old, new : str
        ``old`` occurs exactly once in the file and becomes ``new``.
    """

    name: str
    what: str
    file: str
    old: str
    new: str


MUTANTS = (
    # ---- transfers ----
    Mutant(
        "pad-right-is-left", "the padding between rows takes the left pad twice",
        "dma/row_generator.py",
        "out.between.eq(insn.x_pad_0 + insn.x_pad_1)",
        "out.between.eq(insn.x_pad_0 + insn.x_pad_0)",
    ),
    Mutant(
        "pad-top-short", "rows of zeros at the top are a right pad too narrow",
        "dma/row_generator.py",
        "pitch.eq(_sum(new.x_pad_0, new.x_size[: self.bits], new.x_pad_1))",
        "pitch.eq(new.x_pad_0 + new.x_size[: self.bits])",
    ),
    Mutant(
        "pad-first-row", "with rows of zeros above, the first row loses its left pad",
        "dma/row_generator.py",
        "Mux(has_rows, insn.x_pad_0, 0)",
        "Mux(has_rows & (insn.y_pad_0 == 0), insn.x_pad_0, 0)",
    ),
    Mutant(
        "pad-last-row", "the last row loses its right pad", "dma/row_generator.py",
        "Mux(trails, insn.x_pad_1, ", "Mux(trails, 0, ",
    ),
    Mutant(
        "pad-only", "a load of only padding omits the lower pad", "dma/row_generator.py",
        "Mux(new.y_size == 0, new.y_pad_1, 0)", "0",
    ),
    Mutant(
        "store-acc-over-alu", "a bank that is read for a STORE of ACC is not reserved from the ALU",
        "compute/accumulators.py",
        "reads = gemm_reads | store_reads", "reads = gemm_reads",
    ),
    Mutant(
        "store-acc-over-gemm", "a tile is read for a STORE of ACC in a cycle in which GEMM reads",
        "compute/accumulators.py",
        "tile_reader.gemm_reads.eq(self.gemm_read_lookahead.valid)", "tile_reader.gemm_reads.eq(0)",
    ),
    Mutant(
        "store-acc-overtakes", "rows of OUT and of ACC are read at the same time", "dma/store.py",
        "selected &= other.idle if other is not reader else 1", "selected &= 1",
    ),
    Mutant(
        "store-acc-overwrites", "a tile of a STORE of ACC is overwritten while its beats are sent",
        "dma/row_reader.py",
        "self.sram_take.eq(self.read)", "self.sram_take.eq(self.sram_ready)",
    ),
    Mutant(
        "store-acc-counts-out", "a tile of a STORE of ACC counts as one of OUT", "dma/store.py",
        "self.stored.eq(self.sizes[number])", "self.stored.eq(1)",
    ),
    Mutant(
        "pad-value-address", "the pad value of a load is a part of its address",
        "dma/row_generator.py",
        "out.element.eq(load.dram_base)", "out.element.eq(insn.dram_base)",
    ),
    Mutant(
        "pad-value-unsigned", "the pad value is extended with zeros", "dma/row_writer.py",
        "lane[-1].replicate(bits - len(lane))", "(lane[-1] & 0).replicate(bits - len(lane))",
    ),
    Mutant(
        "merge-padded", "rows with a right pad are merged as if they had none",
        "dma/row_generator.py",
        "(insn.x_pad_0 == 0) & (insn.x_pad_1 == 0)", "(insn.x_pad_0 == 0)",
    ),
    Mutant(
        "stride-is-width", "rows follow each other without a gap", "dma/row_generator.py",
        "element.eq(element + current.stride)", "element.eq(element + current.count)",
    ),
    Mutant(
        "beats-short", "the last beat of a misaligned row is not requested",
        "dma/row_generator.py",
        "_sum(size, offset, (1 << log_beat) - 1) >> log_beat",
        "(size + (1 << log_beat) - 1) >> log_beat",
    ),
    Mutant(
        "acc8-unsigned", "ACC_8BIT is extended with zeros", "dma/row_writer.py",
        "octet[7].replicate(24)", "(octet[7] & 0).replicate(24)",
    ),
    Mutant(
        "lane-of-first", "a row that begins inside a beat is read from the start of the beat",
        "dma/row_writer.py",
        "next_row.offset >> kind.log_bytes", "0",
    ),
    Mutant(
        "strobe-all", "a store writes whole beats, over its neighbours", "dma/row_reader.py",
        "beat.strb.word_select(element.lane, elem_bits // 8).eq(~0)", "beat.strb.eq(~0)",
    ),
    Mutant(
        "strobes-stay", "the strobes of a beat stay asserted in the next", "dma/row_reader.py",
        "merged.eq(Mux(complete, 0, beat))", "merged.eq(beat)",
    ),
    # ---- tokens ----
    Mutant(
        "load-ignores-pop", "load issues before its token is available", "dma/load.py",
        "token_stall.eq(self.insn.valid & insn.pop_next & ~self.tokens.next_avail)",
        "token_stall.eq(0)",
    ),
    Mutant(
        "load-pushes-early", "load pushes its token at issue", "dma/load.py",
        "self.tokens.push_next.eq(done & in_flight.r_data)",
        "self.tokens.push_next.eq(issue & insn.push_next)",
    ),
    Mutant(
        "store-pushes-early", "store pushes its token before the write response", "dma/store.py",
        "self.retired.eq(in_flight.r_rdy & (writes_nothing | (answered != 0)))",
        "self.retired.eq(in_flight.r_rdy)",
    ),
    Mutant(
        "two-pops-one-checked", "compute waits for one of two tokens only", "compute/issue.py",
        "(~insn.pop_prev | prev_available) & (~insn.pop_next | next_available)",
        "(~insn.pop_prev | prev_available)",
    ),
    Mutant(
        "two-pushes-one", "of two tokens pushed at once one is dropped", "compute/issue.py",
        "tokens.push_prev.eq(scoreboard.retire & scoreboard.retire_push_prev)",
        "tokens.push_prev.eq(scoreboard.retire & scoreboard.retire_push_prev"
        " & ~scoreboard.retire_push_next)",
    ),
    Mutant(
        "push-pop-lost", "a push in the cycle of a pop is lost", "frontend/token_queues.py",
        "with m.Elif(push ^ pop):", "with m.Elif(push | pop):",
    ),
    # ---- compute ----
    Mutant(
        "units-overlap", "an instruction issues with hazards against other units",
        "compute/scoreboard.py",
        "other_unit.eq(entry.unit != request.unit)", "other_unit.eq(0)",
    ),
    Mutant(
        "raw-missed", "RAW: the ALU reads what GEMM or a load has not written yet",
        "compute/issue_request.py",
        "overlap(younger.reads, older.reads)", "overlap(younger.writes, older.reads)",
    ),
    Mutant(
        "war-missed", "WAR: GEMM or a load writes what the ALU has not read yet",
        "compute/issue_request.py",
        "overlap(younger.reads, older.reads)", "overlap(younger.reads, older.writes)",
    ),
    Mutant(
        "waw-missed", "WAW: the ALU and another unit write the same accumulators in any order",
        "compute/issue_request.py",
        "Cat(waw, war_or_raw,", "Cat(war_or_raw,",
    ),
    Mutant(
        "uops-in-use", "micro-ops are loaded while a unit still reads them",
        "compute/issue_request.py",
        "war_or_raw, uop_hazard)", "war_or_raw)",
    ),
    Mutant(
        "range-short", "the range of an instruction misses its last entry",
        "compute/issue_request.py",
        "(a.low <= b.high)", "(a.low < b.high)",
    ),
    Mutant(
        "range-no-loop", "the inner loop does not widen a range", "compute/range_extent.py",
        "(loop.dst_factor_in, loop.iter_in - 1)", "(loop.dst_factor_in, 0)",
    ),
    Mutant(
        "range-no-pads", "the rows of zeros of a load are not in its range",
        "compute/access_ranges.py",
        "rows.eq(load.y_size + y_pads)", "rows.eq(load.y_size)",
    ),
    Mutant(
        "scan-too-early", "micro-ops are scanned while they are being loaded",
        "compute/uop_bounds.py",
        "self.read.en.eq(read_pending & ~self.stall_read)", "self.read.en.eq(read_pending)",
    ),
    Mutant(
        "done-any", "an instruction is done when any older one of its unit is",
        "compute/scoreboard.py",
        "unit_done & (entry.older_on_unit == 0)", "unit_done",
    ),
    Mutant(
        "done-at-issue", "at issue, an instruction that is done in this cycle counts as executing",
        "compute/scoreboard.py",
        "self._older_on_next_unit(m) - self._done(self.next.unit)", "self._older_on_next_unit(m)",
    ),
    Mutant(
        "token-stays", "compute sees a token that was popped as available", "compute/issue.py",
        "prev_available.eq(tokens.prev_avail)",
        "prev_available.eq(prev_available | tokens.prev_avail)",
    ),
    Mutant(
        "alu-write-conflict", "the ALU writes into a bank in the cycle in which GEMM does",
        "compute/accumulators.py",
        "self.alu_dst_reserved.eq(reads | gemm_writes)",
        "self.alu_dst_reserved.eq(reads)",
    ),
    Mutant(
        "alu-read-conflict", "the ALU reads a bank in the cycle in which GEMM does",
        "compute/accumulators.py",
        "self.alu_dst_reserved.eq(reads | gemm_writes)",
        "self.alu_dst_reserved.eq(store_reads | gemm_writes)",
    ),
    Mutant(
        "load-write-conflict", "a load writes into a bank in the cycle in which the ALU does",
        "compute/accumulators.py",
        "self.load_reserved.eq(self.gemm_written | self.alu_written)",
        "self.load_reserved.eq(self.gemm_written)",
    ),
    Mutant(
        "write-stall-lost", "a stalled write of a load is lost", "dma/row_writer.py",
        "self.op.ready.eq(~self.stall)", "self.op.ready.eq(1)",
    ),
    Mutant(
        "uop-stale", "micro-ops read ahead are kept when others are loaded",
        "compute/uop_memory.py",
        "with m.Elif(self.written & (self.written_addr == tag[n])):", "with m.Elif(0):",
    ),
    Mutant(
        "uop-port", "a reader takes micro-ops that another has read", "compute/uop_memory.py",
        "port.ready.eq(~higher_priority)", "port.ready.eq(1)",
    ),
    Mutant(
        "write-deferred", "a write is deferred although the next product has another tile",
        "compute/gemm.py",
        "& ~older.last & (older.dst == younger.dst)", "& ~older.last",
    ),
    Mutant(
        "early-src-raw", "src is read early although the micro-op in the early slot writes it",
        "compute/alu_hazards.py",
        "src_conflicts | (self.early.valid & current.src.is_older_dst)", "src_conflicts",
    ),
    Mutant(
        "producers-held", "the producers of a stalled micro-op do not advance",
        "compute/alu_hazards.py",
        "one_cycle_later(early.dst.producers, 0)", "early.dst.producers",
    ),
    Mutant(
        "gemm-forwarding-1", "a sum is not forwarded to the next product",
        "compute/accumulate.py",
        "forward_1.eq(same_tile(read) & ~self.start)", "forward_1.eq(0)",
    ),
    Mutant(
        "gemm-forwarding-2", "a sum is not forwarded to the second next product",
        "compute/accumulate.py",
        "forward_2.eq(same_tile(fetch))", "forward_2.eq(0)",
    ),
    Mutant(
        "gemm-forwarding-3", "a sum is not forwarded to the third next product",
        "compute/accumulate.py",
        "forward_3.eq(same_tile(add))", "forward_3.eq(0)",
    ),
    Mutant(
        "gemm-forwarding-4", "a sum is not forwarded to the fourth next product",
        "compute/accumulate.py",
        "forward_4.eq(same_tile(hold))", "forward_4.eq(0)",
    ),
    Mutant(
        "bank-hash", "two tiles have one place in one bank", "compute/accumulators.py",
        "0b110_1010_0101, 0b001_0001_1110", "0b110_1010_0101, 0b001_0001_1101",
    ),
    Mutant(
        "skid-buffer-drops", "an item that arrives while another one is stalled is lost",
        "lib/skid_buffer.py",
        "m.d.sync += skid_valid.eq(1)", "m.d.sync += skid_valid.eq(0)",
    ),
    Mutant(
        "gemm-reset-adds", "a reset keeps the old value", "compute/accumulate.py",
        "Mux(add.reset, 0, term + self.addend[lane])",
        "Mux(add.reset, term, term + self.addend[lane])",
    ),
    Mutant(
        "gemm-start-adds", "the first product of a started sum adds to the old value",
        "compute/gemm.py",
        "stages[2].start.eq(stages[1].start & runs.first)", "stages[2].start.eq(0)",
    ),
    Mutant(
        "gemm-start-each", "each product of a started sum overwrites", "compute/gemm.py",
        "stages[2].start.eq(stages[1].start & runs.first)",
        "stages[2].start.eq(stages[1].start)",
    ),
    Mutant(
        "gemm-run-goes-on", "a started sum continues that of the older instruction",
        "compute/run_detector.py",
        "same_instruction.eq(~self.last)", "same_instruction.eq(1)",
    ),
    Mutant(
        "gemm-counts-resets", "resets are counted as products", "compute/gemm.py",
        "self.product.eq(sequencer.op.valid & ~op.empty & ~op.insn.reset)",
        "self.product.eq(sequencer.op.valid & ~op.empty)",
    ),
    Mutant(
        "dot-unsigned", "weights are multiplied as unsigned numbers", "compute/dot.py",
        '"b": In(data.ArrayLayout(signed(b_bits), length))',
        '"b": In(data.ArrayLayout(b_bits, length))',
    ),
    Mutant(
        "alu-forwarding", "an operand is forwarded from WB instead of after WB",
        "compute/alu_operands.py",
        "OperandSource.AFTER_WB: self.after_wb", "OperandSource.AFTER_WB: self.wb",
    ),
    Mutant(
        "alu-start-each", "each micro-op of a run that starts overwrites its tile",
        "compute/alu_pipeline.py",
        "accepted.payload.insn.start & runs.first", "accepted.payload.insn.start",
    ),
    Mutant(
        "alu-start-keeps", "the first micro-op of a run does not overwrite its tile",
        "compute/alu_hazards.py",
        "Mux(self._needs_dst(slot.uop), source, 0)", "source",
    ),
    Mutant(
        "alu-no-stall", "a micro-op does not stall for the SHR or MUL right before it",
        "compute/alu_hazards.py",
        "~current.raw_stall & self._free", "self._free",
    ),
    Mutant(
        "requantise-no-stall", "a micro-op does not wait for a REQUANTISE whose tile it reads",
        "compute/alu_requantise.py",
        "self.uop.valid & ~stall", "self.uop.valid",
    ),
    Mutant(
        "requantise-truncates", "REQUANTISE does not round", "compute/alu_requantise.py",
        "zero_point + rounding", "zero_point",
    ),
    Mutant(
        "requantise-wraps", "a value beyond the limits of REQUANTISE wraps",
        "compute/alu_requantise.py",
        "far_bits.any() | (shifted[-1] ^ negative)", "shifted[-1] & 0",
    ),
    Mutant(
        "requantise-zero", "0 times a negative multiplier is negative", "compute/alu_product.py",
        "(x[-1] ^ factor[-1]) & x.any() & factor.any()", "x[-1] ^ factor[-1]",
    ),
    Mutant(
        "requantise-short", "the product of REQUANTISE has an unsigned upper half",
        "compute/alu_product.py",
        "x[HALF:].as_signed() * factor", "x[HALF:] * factor",
    ),
    Mutant(
        "requantise-limits", "REQUANTISE clips to the limits of the next micro-op",
        "compute/alu_pipeline.py",
        "lane.limits.eq(ex2_limits)", "lane.limits.eq(forwarding.imm)",
    ),
    Mutant(
        "imm-unsigned", "immediates are not sign-extended", "compute/alu_operands.py",
        "lane.eq(self.fetched.imm)", "lane.eq(self.fetched.imm.as_unsigned())",
    ),
    Mutant(
        "shift-32", "a shift right by 32 or more shifts by less", "compute/alu_product.py",
        "y[5:-1] == left.replicate(WORD - 6)", "~left | y[5:-1].all()",
    ),
    Mutant(
        "mul-half", "a cross product of MUL is missing", "compute/alu_product.py",
        "cross.eq(Mux(is_multiply, x[:HALF] * y[HALF:], 0))", "cross.eq(0)",
    ),
    Mutant(
        "min-is-less", "MIN and MAX compare unsigned", "compute/alu_lane.py",
        "less.eq(Cat(x[:-1], y[-1]) < Cat(y[:-1], x[-1]))",
        "less.eq(x.as_unsigned() < y.as_unsigned())",
    ),
    Mutant(
        "outer-goes-on", "the outer loop goes on where the inner one ended",
        "compute/loop_counter.py",
        "self.value.eq(outer + self.factor_out)", "self.value.eq(self.value + self.factor_out)",
    ),
    Mutant(
        "empty-loop-runs", "a loop of no rounds runs once", "compute/loop_counter.py",
        "(insn.iter_out == 0) | (insn.iter_in == 0)", "(insn.iter_out == 0)",
    ),
    Mutant(
        "store-high-bits", "stores give the bits one higher", "compute/accumulators.py",
        "lane[: self.out_bits]", "lane[1 : self.out_bits + 1]",
    ),
    # ---- the rest ----
    Mutant(
        "counts-off", "byte counters miss the first event", "control/counters.py",
        "after.eq(events + increment)", "after.eq(events + Mux(events == 0, 0, increment))",
    ),
    Mutant(
        "done-early", "the run ends with FINISH although load or store have instructions in flight",
        "control/run_control.py",
        "~fetching & (outstanding == 0)",
        "(self.finished | (~fetching & (outstanding == 0)))",
    ),
    Mutant(
        "fetch-chunk", "each chunk of the stream after the first is read a beat too low",
        "frontend/fetch.py",
        "beat.eq(beat + self.CHUNK)", "beat.eq(beat + self.CHUNK - 1)",
    ),
)  # fmt: skip
"""Every fault that the differential suite must find."""
