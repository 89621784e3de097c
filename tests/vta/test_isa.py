"""The instruction set: words worked out by hand, round trips, and what is refused."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.configurations import CONFIGURATIONS, configurations
from vta.config import VTAConfig
from vta.errors import EncodingError
from vta.isa import (
    Alu,
    AluOpcode,
    Finish,
    Gemm,
    IllegalEncodingError,
    Instruction,
    Isa,
    Limits,
    Load,
    MemId,
    PipelineModule,
    Store,
    TokenCounts,
    Uop,
    alu_operations_of,
    disassemble,
    needed_by,
)

DEFAULT = Isa.of(CONFIGURATIONS["default"])
TINY = Isa.of(CONFIGURATIONS["tiny"])


def words(low: int, high: int) -> bytes:
    """16 bytes from the two 64-bit halves."""
    return low.to_bytes(8, "little") + high.to_bytes(8, "little")


# Each half is a sum of value << offset, the offsets being those of the published tables.
DEFAULT_WORDS = {
    Load(
        memory=MemId.ACC, sram_base=0x1234, dram_base=0x89ABCDEF, y_size=2, x_size=3,
        x_stride=0x405, y_pad_0=1, y_pad_1=2, x_pad_0=3, x_pad_1=4, pop_next=True,
    ): words(
        0 | 1 << 4 | 3 << 7 | 0x1234 << 10 | 0x89ABCDEF << 26,
        2 | 3 << 16 | 0x405 << 32 | 1 << 48 | 2 << 52 | 3 << 56 | 4 << 60,
    ),
    Load(
        memory=MemId.INP, sram_base=5, dram_base=0x1FFFFFFE, y_size=1, x_size=2, x_stride=3,
        y_pad_0=4, pad_value=-127, push_next=True,
    ): words(
        1 << 6 | 2 << 7 | 5 << 10 | 0x1FFFFFFE << 26 | 0x81 << 55 | 1 << 63,
        1 | 2 << 16 | 3 << 32 | 4 << 48,
    ),
    Load(memory=MemId.ACC_8BIT, push_next=True): words(1 << 6 | 5 << 7, 0),
    Store(
        sram_base=0xFFFF, dram_base=0xFFFFFFFF, y_size=0xFFFF, x_size=0xFFFF, x_stride=0xFFFF,
        pop_prev=True, push_prev=True,
    ): words(1 | 1 << 3 | 1 << 5 | 4 << 7 | 0xFFFF << 10 | 0xFFFFFFFF << 26, 0xFFFF_FFFF_FFFF),
    Store(memory=MemId.ACC, dram_base=1, y_size=1, x_size=2, x_stride=3): words(
        1 | 3 << 7 | 1 << 26, 1 | 2 << 16 | 3 << 32
    ),
    Gemm(
        reset=True, uop_bgn=0x1001, uop_end=0x2000, iter_out=0x2AAA, iter_in=0x1555,
        dst_factor_out=0x401, dst_factor_in=0x402, src_factor_out=0x403, src_factor_in=0x404,
        wgt_factor_out=0x205, wgt_factor_in=0x206, pop_prev=True, push_prev=True,
    ): words(
        2 | 1 << 3 | 1 << 5 | 1 << 7 | 0x1001 << 8 | 0x2000 << 21 | 0x2AAA << 35 | 0x1555 << 49,
        0x401 | 0x402 << 11 | 0x403 << 22 | 0x404 << 33 | 0x205 << 44 | 0x206 << 54,
    ),
    Gemm(start=True): words(2 | 1 << 35 | 1 << 49 | 1 << 63, 0),
    Alu(
        alu_opcode=AluOpcode.MUL, use_imm=True, imm=-2, uop_bgn=1, uop_end=2, iter_out=3, iter_in=4,
        dst_factor_out=5, dst_factor_in=6, src_factor_out=7, src_factor_in=8, push_next=True,
    ): words(
        4 | 1 << 6 | 1 << 8 | 2 << 21 | 3 << 35 | 4 << 49,
        5 | 6 << 11 | 7 << 22 | 8 << 33 | 4 << 44 | 1 << 47 | 0xFFFE << 48,
    ),
    Alu(alu_opcode=AluOpcode.REQUANTISE, imm=Limits(-2, 127).immediate, uop_end=1): words(
        4 | 1 << 21 | 1 << 35 | 1 << 49, 5 << 44 | 0x7FFE << 48
    ),
    Alu(alu_opcode=AluOpcode.MAX, start=True, uop_end=1): words(
        4 | 1 << 21 | 1 << 35 | 1 << 49 | 1 << 63, 1 << 44
    ),
    Finish(pop_prev=True, pop_next=True): words(3 | 1 << 3 | 1 << 4, 0),
}  # fmt: skip

TINY_WORDS = {
    Gemm(
        uop_bgn=0x21, uop_end=0x40, iter_out=0x2AAA, iter_in=0x1555, dst_factor_out=1,
        dst_factor_in=2, src_factor_out=3, src_factor_in=4, wgt_factor_out=5, wgt_factor_in=6,
    ): words(
        2 | 0x21 << 8 | 0x40 << 14 | 0x2AAA << 21 | 0x1555 << 35,
        1 | 2 << 6 | 3 << 12 | 4 << 18 | 5 << 24 | 6 << 30,
    ),
    Gemm(start=True): words(2 | 1 << 21 | 1 << 35 | 1 << 63, 0),
    Alu(
        alu_opcode=AluOpcode.SHR, uop_end=1, dst_factor_out=0x3F, imm=-(2**15), iter_out=0,
        iter_in=0,
    ): words(4 | 1 << 14, 0x3F | 3 << 24 | 0x8000 << 28),
}  # fmt: skip


@pytest.mark.parametrize("insn", DEFAULT_WORDS)
def test_words_of_the_default_machine(insn):
    assert DEFAULT.encode(insn) == DEFAULT_WORDS[insn]
    assert DEFAULT.decode(DEFAULT_WORDS[insn]) == insn


@pytest.mark.parametrize("insn", TINY_WORDS)
def test_words_of_the_tiny_machine(insn):
    assert TINY.encode(insn) == TINY_WORDS[insn]
    assert TINY.decode(TINY_WORDS[insn]) == insn


def test_micro_ops():
    assert DEFAULT.encode_uop(Uop(0x401, 0x402, 0x203)) == 0x401 | 0x402 << 11 | 0x203 << 22
    assert TINY.encode_uop(Uop(1, 2, 3)) == 1 | 2 << 6 | 3 << 12
    deep = Isa(CONFIGURATIONS["block2"])  # inp 2^9, acc 2^4: src has 9 bits
    assert deep.encode_uop(Uop(15, 511, 7)) == 15 | 511 << 4 | 7 << 13
    shallow = Isa(CONFIGURATIONS["int16_by_int4"])  # inp 2^5, acc 2^4
    assert shallow.encode_uop(Uop(15, 31, 15)) == 0x1FFF
    array = TINY.encode_uops([Uop(1, 2, 3), Uop(63, 0, 0)])
    assert array.dtype == np.dtype("<u4")
    assert {key: value.tolist() for key, value in TINY.uop_indices(array).items()} == {
        "dst": [1, 63], "src": [2, 0], "wgt": [3, 0],
    }  # fmt: skip
    with pytest.raises(EncodingError, match=r"dst is 64; must be in 0\.\.63 \(6 bits\)"):
        TINY.encode_uop(Uop(64, 0, 0))


# ---- any machine --------------------------------------------------------------------------------


@st.composite
def instructions(draw: st.DrawFn, cfg: VTAConfig) -> Instruction:
    """An instruction whose fields use all of their bits, from the sizes of the machine."""
    flags = {
        name: draw(st.booleans()) for name in ("pop_prev", "pop_next", "push_prev", "push_next")
    }
    kind = draw(st.sampled_from([Load, Store, Gemm, Alu, Finish]))

    def bits(width: int) -> int:
        return draw(st.sampled_from([0, (1 << width) - 1]) | st.integers(0, (1 << width) - 1))

    if kind is Finish:
        return Finish(**flags)
    if kind in (Load, Store):
        sizes = {name: bits(16) for name in ("sram_base", "y_size", "x_size", "x_stride")}
        pads = {name: bits(4) for name in ("y_pad_0", "y_pad_1", "x_pad_0", "x_pad_1")}
        memory = draw(st.sampled_from(MemId))
        if kind is Load and cfg.extension and draw(st.booleans()):
            return Load(
                memory=memory, dram_base=bits(29), pad_value=bits(8) - 128, **sizes, **pads, **flags
            )
        return kind(memory=memory, dram_base=bits(32), **sizes, **pads, **flags)
    uop, inp, wgt, acc = cfg.log_uop_depth, cfg.log_inp_depth, cfg.log_wgt_depth, cfg.log_acc_depth
    common = {
        "reset": draw(st.booleans()), "uop_bgn": bits(uop), "uop_end": bits(uop + 1),
        "iter_out": bits(14), "iter_in": bits(14),
        "dst_factor_out": bits(acc), "dst_factor_in": bits(acc), **flags,
    }  # fmt: skip
    if kind is Gemm:
        sources = {"src_factor_out": bits(inp), "src_factor_in": bits(inp)}
        return Gemm(
            start=bool(cfg.extension) and draw(st.booleans()),
            wgt_factor_out=bits(wgt), wgt_factor_in=bits(wgt), **sources, **common,
        )  # fmt: skip
    return Alu(
        start=bool(cfg.extension) and draw(st.booleans()),
        alu_opcode=draw(st.sampled_from(alu_operations_of(cfg))), use_imm=draw(st.booleans()),
        imm=bits(16) - 2**15, src_factor_out=bits(acc), src_factor_in=bits(acc), **common,
    )  # fmt: skip


@given(st.data(), configurations())
@settings(max_examples=300)
def test_decode_of_encode(data, cfg):
    isa = Isa.of(cfg)
    insn = data.draw(instructions(cfg))
    word = isa.encode(insn)
    assert isa.decode(word) == insn
    assert isa.encode_all([insn, insn]) == word * 2
    flagged = dataclasses.replace(insn, pop_prev=True, push_next=True)
    expected = isa.encode(flagged) + word
    assert isa.encode_all([insn, insn], [{"pop_prev", "push_next"}, ()]) == expected
    assert isa.decode_all(word * 2) == [insn, insn]
    assert "\n" not in disassemble(insn)


@given(st.data(), configurations())
@settings(max_examples=100)
def test_one_too_much(data, cfg):
    """Every numeric field refuses the first value past its end, and names itself."""
    isa = Isa.of(cfg)
    insn = data.draw(instructions(cfg))
    layout = isa.format_of(insn.opcode)
    if getattr(insn, "pad_value", 0):
        layout = isa.pad_load
    numeric = [f.name for f in layout.fields if f.width > 3 or f.name.endswith("factor_in")]
    if not numeric:
        return
    field = layout[data.draw(st.sampled_from(numeric))]
    half = 1 << (field.width - field.signed)
    for value in (half, -half - 1 if field.signed else -1):
        wrong = dataclasses.replace(insn, **{field.name: value})
        with pytest.raises(EncodingError, match=f"field {field.name} is {value}; must be in"):
            isa.encode(wrong)
        with pytest.raises(
            EncodingError, match=f"^instruction 1: .*field {field.name} is {value};"
        ):
            isa.encode_all([Finish(), wrong])


@given(st.data(), configurations())
@settings(max_examples=100)
def test_any_word_is_an_instruction_or_refused(data, cfg):
    """What is decoded encodes to the same bits: no bit is ignored."""
    isa = Isa.of(cfg)
    word = data.draw(st.binary(min_size=16, max_size=16))
    try:
        insn = isa.decode(word)
    except IllegalEncodingError:
        return
    assert isa.encode(insn) == word


# ---- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (5, 0, "opcode 5"),
        (6, 0, "opcode 6"),
        (0 | 6 << 7, 0, "6 is not a valid MemId"),
        (1 | 7 << 7, 0, "7 is not a valid MemId"),
        (4, 7 << 44, "7 is not a valid AluOpcode"),
        (0 | 1 << 58, 0, "no field"),
        (0 | 2 << 7 | 1 << 63, 0, "pad value of 0"),
        (1 | 4 << 7 | 1 << 63, 0, "no field"),
        (3 | 1 << 7, 0, "no field"),
        (3, 1 << 63, "no field"),
    ],
)
def test_words_that_are_no_instruction(low, high, message):
    with pytest.raises(IllegalEncodingError, match=message):
        DEFAULT.decode(words(low, high))
    with pytest.raises(IllegalEncodingError, match=f"instruction 1: .*{message}"):
        DEFAULT.decode_all(words(3, 0) + words(low, high))


def test_lengths():
    with pytest.raises(IllegalEncodingError, match="16 bytes; got 15"):
        DEFAULT.decode(bytes(15))
    with pytest.raises(IllegalEncodingError, match="multiple of 16 bytes; got 40"):
        DEFAULT.decode_all(bytes(40))
    with pytest.raises(EncodingError, match="instruction 1: LOAD/STORE: field sram_base is -1"):
        DEFAULT.encode_all([Finish(), Load(memory=MemId.INP, sram_base=-1)])


def test_reserved_bits():
    """In a smaller machine more bits are free, and all of them must be zero."""
    assert DEFAULT.gemm.reserved_mask == 0
    assert Isa(CONFIGURATIONS["default"].replace(extension=0)).gemm.reserved_mask == 1 << 63
    assert DEFAULT.memory.reserved_mask == 0x3F << 58
    assert DEFAULT.alu.reserved_mask == 0
    assert Isa(CONFIGURATIONS["default"].replace(extension=0)).alu.reserved_mask == 1 << 63
    assert TINY.gemm.reserved_mask == 0xFFFFFFF0_00000000_7FFE0000_00000000
    for bit in (49, 62, 100, 127):
        word = int.from_bytes(TINY.encode(Gemm()), "little") | 1 << bit
        with pytest.raises(IllegalEncodingError, match="no field"):
            TINY.decode(word.to_bytes(16, "little"))


def test_a_machine_without_the_extension():
    """The instructions of the base set have the same bits; those of the extension do not exist."""
    for name, words in (("default", DEFAULT_WORDS), ("tiny", TINY_WORDS)):
        base = Isa(CONFIGURATIONS[name].replace(extension=0))
        assert base.capabilities == 0 and Isa(CONFIGURATIONS[name]).capabilities == 31
        for insn, word in words.items():
            if needed_by([insn]):
                name = needed_by([insn]).name
                with pytest.raises(EncodingError, match=rf"{name} of the .* EXTENSION is 0"):
                    base.encode(insn)
                refusal = rf"{name} of the .* EXTENSION is 0|no field"
                with pytest.raises(IllegalEncodingError, match=refusal):
                    base.decode(word)
            else:
                assert base.encode(insn) == word and base.decode(word) == insn


@pytest.mark.parametrize(
    ("insn", "reason"),
    [
        (Load(memory=MemId.INP, pop_next=True, push_next=True), None),
        (Load(memory=MemId.INP, pop_prev=True), "no previous module"),
        (Load(memory=MemId.WGT, push_prev=True), "no previous module"),
        (Load(memory=MemId.UOP, pop_prev=True, push_prev=True), None),
        (Load(memory=MemId.OUT), "cannot write OUT"),
        (Load(memory=MemId.ACC_8BIT, pad_value=-128), None),
        (Load(memory=MemId.WGT, pad_value=1), "a LOAD of WGT pads with 0; got 1"),
        (Store(pop_prev=True, push_prev=True, x_size=1), None),
        (Store(pop_next=True), "no next module"),
        (Store(memory=MemId.UOP, x_size=0, x_pad_0=1), None),
        (Store(memory=MemId.ACC, x_size=1), None),
        (Store(memory=MemId.UOP, x_size=1), "reads OUT or ACC; got UOP"),
        (Store(x_size=1, y_pad_1=1), "cannot pad"),
        (Gemm(uop_bgn=3, uop_end=3), None),
        (Gemm(start=True), None),
        (Gemm(start=True, reset=True), "cannot start sums and reset"),
        (Gemm(uop_bgn=3, uop_end=2), "ends before it begins"),
        (Gemm(uop_end=64), None),
        (Alu(uop_end=65), "SRAM has 64"),
        (Alu(alu_opcode=AluOpcode.REQUANTISE), None),
        (Alu(alu_opcode=AluOpcode.ADD, start=True, use_imm=True), None),
        (Alu(alu_opcode=AluOpcode.SHR, start=True), "SHR cannot start runs; MIN, MAX, ADD can"),
        (Alu(alu_opcode=AluOpcode.REQUANTISE, use_imm=True), "use_imm must be 0"),
        (Finish(pop_prev=True, push_next=True), None),
    ],
)
def test_why_illegal(insn, reason):
    found = TINY.why_illegal(insn)
    assert found is None if reason is None else reason in found


# ---- modules and tokens -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("insn", "module", "pops", "pushes"),
    [
        (Load(memory=MemId.INP), PipelineModule.LOAD, [None, "g2l"], [None, "l2g"]),
        (Load(memory=MemId.WGT), PipelineModule.LOAD, [None, "g2l"], [None, "l2g"]),
        (Load(memory=MemId.UOP), PipelineModule.COMPUTE, ["l2g", "s2g"], ["g2l", "g2s"]),
        (Load(memory=MemId.ACC), PipelineModule.COMPUTE, ["l2g", "s2g"], ["g2l", "g2s"]),
        (Load(memory=MemId.ACC_8BIT), PipelineModule.COMPUTE, ["l2g", "s2g"], ["g2l", "g2s"]),
        (Gemm(), PipelineModule.COMPUTE, ["l2g", "s2g"], ["g2l", "g2s"]),
        (Alu(), PipelineModule.COMPUTE, ["l2g", "s2g"], ["g2l", "g2s"]),
        (Finish(), PipelineModule.COMPUTE, ["l2g", "s2g"], ["g2l", "g2s"]),
        (Store(), PipelineModule.STORE, ["g2s", None], ["s2g", None]),
    ],
)
def test_routing_and_tokens(insn, module, pops, pushes):
    assert insn.module is module
    assert TokenCounts.popped_by(insn) == TokenCounts.pushed_by(insn) == []
    for side, pop, push in zip(("prev", "next"), pops, pushes):
        if pop is not None:
            one = dataclasses.replace(insn, **{f"pop_{side}": True})
            assert TokenCounts.popped_by(one) == [pop]
            two = dataclasses.replace(insn, **{f"push_{side}": True})
            assert TokenCounts.pushed_by(two) == [push]
            counts = TokenCounts(2, 2, 2, 2)
            counts.pop(one)
            counts.push(two)
            assert sum(counts.as_dict().values()) == 8
            assert counts.as_dict()[pop] == 1 and counts.as_dict()[push] == 3


def test_disassembly():
    lines = {
        "NOP (compute)  pop(prev, next)": Load(memory=MemId.UOP, pop_prev=True, pop_next=True),
        "LOAD WGT sram=3 dram=0x1f rows=2 cols=4 stride=8 pad(y 1,2 x 3,4)  push(next)": Load(
            memory=MemId.WGT, sram_base=3, dram_base=31, y_size=2, x_size=4, x_stride=8, y_pad_0=1,
            y_pad_1=2, x_pad_0=3, x_pad_1=4, push_next=True,
        ),
        "LOAD INP sram=0 dram=0x0 rows=1 cols=1 stride=1 pad(y 0,2 x 0,0) value=-128": Load(
            memory=MemId.INP, y_size=1, x_size=1, x_stride=1, y_pad_1=2, pad_value=-128
        ),
        "GEMM reset uop[1:2] in(8: dst+2 src+0 wgt+0)": Gemm(
            reset=True, uop_bgn=1, uop_end=2, iter_in=8, dst_factor_in=2
        ),
        "GEMM start uop[0:1]": Gemm(start=True, uop_end=1),
        "ALU SHR imm -3 uop[0:1]": Alu(
            alu_opcode=AluOpcode.SHR, use_imm=True, imm=-3, uop_end=1
        ),
        "ALU MAX acc uop[0:1] out(2: dst+1 src+4)": Alu(
            alu_opcode=AluOpcode.MAX, uop_end=1, iter_out=2, dst_factor_out=1, src_factor_out=4
        ),
        "ALU MAX start acc uop[0:1]": Alu(alu_opcode=AluOpcode.MAX, start=True, uop_end=1),
        "ALU REQUANTISE acc clip(-128, 6) uop[0:1]": Alu(
            alu_opcode=AluOpcode.REQUANTISE, imm=Limits(-128, 6).immediate, uop_end=1
        ),
        "FINISH  push(prev)": Finish(push_prev=True),
    }  # fmt: skip
    assert {line: disassemble(insn) for line, insn in lines.items()} == {
        line: line for line in lines
    }
