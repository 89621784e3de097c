"""An executor for tests, written from docs/hardware/machine.md with plain integers, one element at
a time.

It does the instructions in the order of the stream, which is one of the orders that the tokens of a
race-free program allow. It shares the decoder with the model and nothing else, and expects legal
programs.
"""

from __future__ import annotations

from vta.config import VTAConfig
from vta.isa import (
    Alu,
    AluOpcode,
    Finish,
    Gemm,
    Instruction,
    Isa,
    Load,
    MemId,
    PipelineModule,
    Store,
)


def signed(value: int, bits: int) -> int:
    """The low ``bits`` of ``value`` as a two's complement number."""
    value %= 2**bits
    return value - 2**bits if value >= 2 ** (bits - 1) else value


def shift(x: int, y: int) -> int:
    """``x`` shifted right arithmetically by ``y``, or left by ``-y``."""
    if y >= 32:
        return -1 if x < 0 else 0
    if y >= 0:
        return x // 2**y  # floor: an arithmetic shift
    if y <= -32:
        return 0
    return signed(x * 2**-y, 32)


def requantise(x: int, y: int, imm: int) -> int:
    """``x`` times the low 16 bits of ``y``, divided by two to the power of the next 6, rounded
    with halves up, plus the next 8; not below the low byte of ``imm``, not above the high byte."""
    multiplier, exponent, zero_point = signed(y, 16), y >> 16 & 63, signed(y >> 22, 8)
    scaled = (2 * x * multiplier + 2**exponent) // 2 ** (exponent + 1) + zero_point
    return min(max(scaled, signed(imm, 8)), signed(imm >> 8, 8))


LANE = {
    AluOpcode.MIN: lambda x, y: x if x < y else y,
    AluOpcode.MAX: lambda x, y: x if x > y else y,
    AluOpcode.ADD: lambda x, y: signed(x + y, 32),
    AluOpcode.SHR: shift,
    AluOpcode.MUL: lambda x, y: signed(x * y, 32),
    AluOpcode.REQUANTISE: requantise,
}
"""``{operation: function}`` of one lane, on plain integers. An operation of one operand does not
look at ``y``, one of three takes the immediate too."""

assert LANE.keys() == set(AluOpcode)


class SlowModel:
    """One machine: memories as lists of lists of integers, zero at first."""

    def __init__(self, cfg: VTAConfig) -> None:
        self.cfg = cfg
        self.isa = Isa.of(cfg)
        lanes_in = cfg.batch * cfg.block_in
        lanes_out = cfg.batch * cfg.block_out
        self.uop = [0] * cfg.uop_depth
        self.inp = [[0] * lanes_in for _ in range(cfg.inp_depth)]
        self.wgt = [[0] * (cfg.block_out * cfg.block_in) for _ in range(cfg.wgt_depth)]
        self.acc = [[0] * lanes_out for _ in range(cfg.acc_depth)]

    def run(
        self, stream: bytes, memory: bytes, base: int
    ) -> tuple[bytes, dict[str, int], dict[str, int]]:
        """Execute a stream on a DRAM image: the image after, the seven counters, tokens left."""
        self.dram = bytearray(memory)
        self.base = base
        self.counters = dict.fromkeys(
            [
                "inp_load_nbytes", "wgt_load_nbytes", "acc_load_nbytes", "uop_load_nbytes",
                "out_store_nbytes", "gemm_counter", "alu_counter",
            ],
            0,
        )  # fmt: skip
        self.tokens = {"l2g": 0, "g2l": 0, "g2s": 0, "s2g": 0}
        for offset in range(0, len(stream), 16):
            insn = self.isa.decode(stream[offset : offset + 16])
            self.move_tokens(insn, "pop")
            self.execute(insn)
            self.move_tokens(insn, "push")
        return bytes(self.dram), self.counters, self.tokens

    def move_tokens(self, insn: Instruction, what: str) -> None:
        queues = {
            (PipelineModule.LOAD, "pop_next"): "g2l",
            (PipelineModule.LOAD, "push_next"): "l2g",
            (PipelineModule.COMPUTE, "pop_prev"): "l2g",
            (PipelineModule.COMPUTE, "pop_next"): "s2g",
            (PipelineModule.COMPUTE, "push_prev"): "g2l",
            (PipelineModule.COMPUTE, "push_next"): "g2s",
            (PipelineModule.STORE, "pop_prev"): "g2s",
            (PipelineModule.STORE, "push_prev"): "s2g",
        }
        for side in ("prev", "next"):
            if getattr(insn, f"{what}_{side}"):
                queue = queues[insn.module, f"{what}_{side}"]
                self.tokens[queue] += 1 if what == "push" else -1
                assert self.tokens[queue] >= 0, f"{queue} is empty in the order of the stream"

    def execute(self, insn: Instruction) -> None:
        if isinstance(insn, Load):
            if insn.x_size != 0:
                self.load(insn)
        elif isinstance(insn, Store):
            if insn.x_size != 0:
                self.store(insn)
        elif isinstance(insn, Gemm):
            self.gemm(insn)
        elif isinstance(insn, Alu):
            self.alu(insn)
        else:
            assert isinstance(insn, Finish)

    # ---- DRAM ---------------------------------------------------------------------------------

    def read_value(self, bit: int, bits: int) -> int:
        """The signed number of ``bits`` bits at bit ``bit`` of the address space."""
        first = bit // 8 - self.base
        assert first >= 0
        nbytes = max(bits // 8, 1)
        assert first + nbytes <= len(self.dram)
        word = int.from_bytes(self.dram[first : first + nbytes], "little")
        return signed(word >> (bit % 8), bits)

    def load(self, insn: Load) -> None:
        cfg = self.cfg
        lanes_in, lanes_out = cfg.batch * cfg.block_in, cfg.batch * cfg.block_out
        # on-chip memory, values of an element, bits of a value in DRAM, counter, bytes counted
        sram, values, bits, counter, nbytes = {
            MemId.UOP: (self.uop, 1, 32, "uop", 4),
            MemId.INP: (self.inp, lanes_in, cfg.inp_width, "inp", lanes_in * cfg.inp_width // 8),
            MemId.WGT: (
                self.wgt, cfg.block_out * cfg.block_in, cfg.wgt_width, "wgt",
                cfg.block_out * cfg.block_in * cfg.wgt_width // 8,
            ),
            MemId.ACC: (self.acc, lanes_out, 32, "acc", lanes_out * 4),
            MemId.ACC_8BIT: (self.acc, lanes_out, 8, "acc", lanes_out * 4),
        }[insn.memory]  # fmt: skip
        at = insn.sram_base
        pad = signed(insn.pad_value, min(bits, 8))
        for y in range(insn.y_pad_0 + insn.y_size + insn.y_pad_1):
            for x in range(insn.x_pad_0 + insn.x_size + insn.x_pad_1):
                row, column = y - insn.y_pad_0, x - insn.x_pad_0
                inside = 0 <= row < insn.y_size and 0 <= column < insn.x_size
                element = []
                for n in range(values):
                    index = insn.dram_base + row * insn.x_stride + column
                    element.append(
                        self.read_value((index * values + n) * bits, bits) if inside else pad
                    )
                if insn.memory is MemId.UOP:
                    sram[at] = element[0] % 2**32
                else:
                    sram[at] = element
                at += 1
        self.counters[f"{counter}_load_nbytes"] += insn.x_size * insn.y_size * nbytes

    def store(self, insn: Store) -> None:
        bits = 32 if insn.memory is MemId.ACC else self.cfg.out_width
        lanes = self.cfg.batch * self.cfg.block_out
        for y in range(insn.y_size):
            for x in range(insn.x_size):
                element = self.acc[insn.sram_base + y * insn.x_size + x]
                word = sum((element[n] % 2**bits) << (n * bits) for n in range(lanes))
                nbytes = lanes * bits // 8
                first = (insn.dram_base + y * insn.x_stride + x) * nbytes - self.base
                assert 0 <= first <= len(self.dram) - nbytes
                self.dram[first : first + nbytes] = word.to_bytes(nbytes, "little")
        self.counters["out_store_nbytes"] += insn.x_size * insn.y_size * lanes * bits // 8

    # ---- compute ------------------------------------------------------------------------------

    def operations(self, insn: Gemm | Alu):
        """The (dst, src, wgt) of every operation in order."""
        for o in range(insn.iter_out):
            for i in range(insn.iter_in):
                for u in range(insn.uop_bgn, insn.uop_end):
                    uop = self.isa.decode_uop(self.uop[u])
                    d = uop.dst + o * insn.dst_factor_out + i * insn.dst_factor_in
                    s = uop.src + o * insn.src_factor_out + i * insn.src_factor_in
                    w = None
                    if isinstance(insn, Gemm):
                        w = uop.wgt + o * insn.wgt_factor_out + i * insn.wgt_factor_in
                    yield d, s, w

    def gemm(self, insn: Gemm) -> None:
        cfg = self.cfg
        before = None
        for d, s, w in self.operations(insn):
            if insn.reset:
                self.acc[d] = [0] * (cfg.batch * cfg.block_out)
                continue
            starts = insn.start and d != before
            before = d
            new = [0] * (cfg.batch * cfg.block_out) if starts else list(self.acc[d])
            for b in range(cfg.batch):
                for c in range(cfg.block_out):
                    total = new[b * cfg.block_out + c]
                    for k in range(cfg.block_in):
                        x = self.inp[s][b * cfg.block_in + k]
                        total += x * self.wgt[w][c * cfg.block_in + k]
                    new[b * cfg.block_out + c] = signed(total, 32)
            self.acc[d] = new
            self.counters["gemm_counter"] += 1

    def alu(self, insn: Alu) -> None:
        before = None
        for d, s, _ in self.operations(insn):
            new = []
            starts = insn.start and d != before
            before = d
            for lane, x in enumerate(self.acc[d]):
                y = insn.imm if insn.use_imm else self.acc[s][lane]
                if starts:
                    new.append(y)
                    continue
                third = (insn.imm,) if insn.alu_opcode.is_ternary else ()
                new.append(LANE[insn.alu_opcode](x, y, *third))
            self.acc[d] = new
            self.counters["alu_counter"] += 1
