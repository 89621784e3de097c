"""The static checker on streams made by hand: every kind of fault is found, at its instruction."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.configurations import CONFIGURATIONS
from tests.support.pages import run_page
from vta.check import Kind, check_program, check_stream
from vta.errors import ProgramError
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Store, Uop
from vta.program import UOP_BUFFER, Program, Relocation, TensorSpec

CFG = CONFIGURATIONS["tiny"]  # 1x4x4; 64 entries of each kind
ISA = Isa.of(CFG)
BASE = 0x1000

# A product of one tile, stored; then the same again in the same places.
UOP_LOAD = Load(memory=MemId.UOP, dram_base=BASE // 4, y_size=1, x_size=1, x_stride=1)
INP = Load(memory=MemId.INP, dram_base=BASE // 4 + 64, y_size=1, x_size=4, x_stride=4)
WGT = Load(memory=MemId.WGT, dram_base=BASE // 16 + 32, y_size=1, x_size=2, x_stride=2)
RESET = Gemm(reset=True, uop_end=1, iter_in=4, dst_factor_in=1)
GEMM = Gemm(uop_end=1, iter_in=4, dst_factor_in=1, src_factor_in=1)
STORE = Store(dram_base=BASE // 4 + 256, y_size=1, x_size=4, x_stride=4)
GOOD = (
    UOP_LOAD,  # 0
    INP,  # 1
    replace(WGT, push_next=True),  # 2
    RESET,  # 3
    replace(GEMM, pop_prev=True, push_prev=True, push_next=True),  # 4
    replace(STORE, pop_prev=True, push_prev=True),  # 5
    replace(INP, pop_next=True, push_next=True),  # 6
    replace(RESET, pop_next=True),  # 7
    replace(GEMM, pop_prev=True, push_next=True),  # 8
    replace(STORE, pop_prev=True, push_prev=True),  # 9
    Finish(pop_next=True),  # 10
)


def image(*uops):
    """Memory of two pages that begins with micro-ops."""
    data = np.zeros(8192, np.uint8)
    words = ISA.encode_uops(uops or [Uop()])
    data[: words.nbytes] = words.view(np.uint8)
    return data


def check(insns, *uops, **options):
    """The report on a stream, with its image."""
    return check_stream(CFG, ISA.encode_all(insns), image=image(*uops), base=BASE, **options)


def changed(index, **fields):
    """The good stream with other fields in one instruction."""
    return [*GOOD[:index], replace(GOOD[index], **fields), *GOOD[index + 1 :]]


def faults(report):
    """(kind, instruction, other instruction) of each finding."""
    return [(f.kind, f.index, f.other) for f in report.findings]


def test_nothing_to_find():
    report = check(GOOD)
    assert report.ok and not report.limits and report.instructions == 11 and str(report) == ""


def test_a_sum_that_starts_reads_no_accumulator():
    starts = [
        replace(insn, start=True) if isinstance(insn, Gemm) and not insn.reset else insn
        for insn in GOOD
    ]
    without_resets = [
        Load(memory=MemId.ACC, pop_next=insn.pop_next) if insn == RESET or insn == GOOD[7] else insn
        for insn in starts
    ]
    assert check(without_resets).ok
    report = check([replace(i, start=False) if isinstance(i, Gemm) else i for i in without_resets])
    assert faults(report)[0] == (Kind.UNWRITTEN, 4, None)


def test_a_stored_program():
    """Offsets instead of addresses; the tensors are buffers of their own."""
    tensors = (
        TensorSpec("data", (1, 4, 4), "int8", read=True),
        TensorSpec("weight", (2, 4, 4), "int8", read=True),
        TensorSpec("out", (1, 4, 4), "int8", written=True),
    )
    buffers = {MemId.UOP: UOP_BUFFER, MemId.INP: 0, MemId.WGT: 1, MemId.OUT: 2}
    insns = [replace(i, dram_base=0) if isinstance(i, Load | Store) else i for i in GOOD]
    relocations = tuple(
        Relocation(n, buffers[i.memory]) for n, i in enumerate(insns) if hasattr(i, "memory")
    )
    uops = ISA.encode_uops([Uop()]).tobytes()

    def program(insns):
        return Program("p", CFG, ISA.encode_all(insns), uops, tensors, relocations)

    assert check_program(program(insns)).ok
    insns[3] = Alu(alu_opcode=AluOpcode.MAX, use_imm=True, uop_end=1)
    assert faults(check_program(program(insns)))[0] == (Kind.UNWRITTEN, 3, None)
    insns[5] = replace(insns[5], dram_base=1)
    with pytest.raises(ProgramError, match="instruction 5: reaches byte 20 of out"):
        check_program(program(insns))


# ---- tokens --------------------------------------------------------------------------------------


def test_dropped_push():
    report = check(changed(2, push_next=False))
    kinds = {f.kind for f in report.findings}
    assert kinds == {Kind.DEADLOCK}
    first = report.findings[0]
    assert first.index == 4
    assert "pops token 1 of l2g, which instruction 6" in first.message and first.other == 6
    assert "pop(prev)" in first.instruction


def test_dropped_push_that_shifts_the_others():
    """A later push is taken for the missing one, by an instruction that comes before it."""
    report = check(changed(5, push_prev=False))
    assert faults(report) == [(Kind.DEADLOCK, 7, 9), (Kind.DEADLOCK, 9, 8)]
    assert "pops token 1 of s2g, which instruction 9" in str(report)
    assert "that one cannot run before this" in str(report)


def test_one_push_too_few():
    report = check(changed(9, push_prev=False))
    assert faults(report) == [(Kind.DEADLOCK, 10, None)]
    assert "pops token 2 of s2g, but the stream pushes only 1 there" in str(report)


def test_doubled_push():
    """GEMM takes the token too many and starts too early, twice; the last one is left over."""
    insns = [GOOD[0], Load(memory=MemId.INP, push_next=True), *GOOD[1:]]
    report = check(insns)
    assert faults(report) == [
        (Kind.RACE, 5, 2),
        (Kind.RACE, 5, 3),
        (Kind.LEFTOVER, 7, None),
        (Kind.RACE, 9, 7),
    ]
    assert "pushes token 3 of l2g, but the stream pops only 2" in str(report)
    assert not check(insns, leftover_tokens=True).of(Kind.LEFTOVER)


def test_dropped_pop():
    report = check(changed(8, pop_prev=False))
    assert faults(report) == [(Kind.LEFTOVER, 6, None), (Kind.RACE, 8, 6)]
    assert report.findings[1].message == (
        "reads INP entries 0..3, which instruction 6 of the load module "
        "(LOAD INP sram=0 dram=0x440 rows=1 cols=4 stride=4  pop(next)  push(next)) writes; "
        "no token orders the two"
    )


def test_store_without_its_token():
    report = check([*changed(4, push_next=False)[:5], STORE, *GOOD[6:7], Finish()])
    assert [(f.index, f.other) for f in report.of(Kind.RACE)] == [(5, 4)]
    assert "reads ACC entries 0..3, which instruction 4 of the compute module" in str(report)


def test_a_queue_that_is_too_short():
    """513 instructions wait for one that fetch cannot reach."""
    waiting = [replace(STORE, pop_prev=True)] * 513
    report = check([*waiting, Load(memory=MemId.ACC, push_next=True), Finish()])
    assert {(f.kind, f.index) for f in report.findings} == {
        (Kind.DEADLOCK, 0),
        (Kind.DEADLOCK, 512),
    }
    assert "never finds room in the store module's queue of 512" in str(report)


# ---- reads before writes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "reader", "what"),
    [(0, 3, "UOP entry 0"), (1, 4, "INP entries 0..3"), (2, 4, "WGT entry 0"), (3, 4, "ACC")],
)
def test_read_before_write(missing, reader, what):
    nop = Load(memory=GOOD[missing].memory) if missing < 3 else Load(memory=MemId.ACC)
    nop = replace(nop, push_next=GOOD[missing].push_next)
    insns = [*GOOD[:missing], nop, *GOOD[missing + 1 :]]
    found = check(insns).of(Kind.UNWRITTEN)[0]
    assert found.index == reader and what in found.message
    assert "which nothing before it has written" in found.message
    assert not check(insns, after_reset=True).of(Kind.UNWRITTEN)


def test_store_of_what_nobody_made():
    report = check([*GOOD[:5], replace(GOOD[5], x_size=5), *GOOD[6:]])
    assert faults(report) == [(Kind.UNWRITTEN, 5, None)]
    assert "ACC entry 4" in str(report)


def test_padding_is_written():
    padded = replace(INP, x_size=2, x_stride=2, x_pad_0=1, x_pad_1=1)
    assert check([GOOD[0], padded, *GOOD[2:]]).ok
    padded = replace(INP, x_size=2, x_stride=2, x_pad_0=1)
    report = check([GOOD[0], padded, *GOOD[2:6], replace(GOOD[6], x_size=3), *GOOD[7:]])
    assert faults(report) == [(Kind.UNWRITTEN, 4, None), (Kind.UNWRITTEN, 8, None)]
    assert "INP entry 3" in str(report)


# ---- bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "fields", "message"),
    [
        (1, {"sram_base": 61}, "reaches INP entry 64; the memory has 64"),
        (2, {"y_pad_0": 15, "x_pad_1": 15}, "reaches WGT entry 271; the memory has 64"),
        (3, {"iter_out": 5, "dst_factor_out": 16}, "reaches ACC entry 67; the memory has 64"),
        (4, {"src_factor_in": 22}, "reaches INP entry 66; the memory has 64"),
        (5, {"sram_base": 61}, "reaches ACC entry 64; the memory has 64"),
        (1, {"dram_base": BASE // 4 - 1}, "DRAM bytes 0xffc..0x100c; may touch 0x1000..0x3000"),
        (5, {"dram_base": 0xC00 - 3}, "DRAM bytes 0x2ff4..0x3004; may touch 0x1000..0x3000"),
        (1, {"y_size": 3, "x_stride": 2000}, "may touch 0x1000..0x3000"),
    ],
)
def test_out_of_bounds(index, fields, message):
    found = check(changed(index, **fields)).of(Kind.BOUNDS)
    assert [f.index for f in found] == [index] and message in found[0].message


def test_micro_ops_reach_out_of_bounds():
    found = check(GOOD, Uop(dst=61)).of(Kind.BOUNDS)
    assert [f.index for f in found] == [3, 4, 7, 8]
    assert "reaches ACC entry 64" in found[0].message


def test_what_touches_nothing_is_never_out_of_bounds():
    far = {"sram_base": 0xFFFF, "dram_base": 0xFFFFFFFF}
    empty = [
        Load(memory=MemId.INP, y_size=9, **far),
        Load(memory=MemId.ACC, x_size=3, **far),
        Store(x_size=3, **far),
        Gemm(uop_end=9, iter_out=0),
        Alu(uop_bgn=5, uop_end=5),
    ]
    assert check([*empty, *GOOD]).ok


# ---- races ---------------------------------------------------------------------------------------


def test_dram_race():
    """What is stored is loaded again: that needs a token, if bytes are the same."""
    reload = Load(
        memory=MemId.ACC_8BIT, dram_base=STORE.dram_base + 2, sram_base=8,
        y_size=1, x_size=4, x_stride=4,
    )  # fmt: skip
    assert check([*GOOD[:10], replace(reload, pop_next=True), Finish()]).ok
    report = check([*GOOD[:10], reload, Finish(pop_next=True)])
    assert faults(report) == [(Kind.RACE, 10, 9)]
    assert "reads DRAM bytes 0x1408..0x1410" in str(report)
    elsewhere = replace(reload, dram_base=STORE.dram_base + 4)
    assert check([*GOOD[:10], elsewhere, Finish(pop_next=True)]).ok


def test_order_through_a_third_module():
    """Load after store, through compute: store -> compute -> load."""
    again = replace(INP, dram_base=STORE.dram_base)
    chain = [
        *GOOD[:10],
        Load(memory=MemId.ACC, pop_next=True, push_prev=True),
        replace(again, pop_next=True),
    ]
    assert check([*chain, Finish()]).ok
    chain[-1] = again
    assert Kind.RACE in {f.kind for f in check([*chain, Finish()]).findings}


def test_rows_between_each_other_do_not_touch():
    """The store's rows are two tiles wide and eight apart; the load fills the six between."""
    store = replace(STORE, y_size=2, x_size=2, x_stride=8, pop_prev=True)
    gaps = Load(
        memory=MemId.INP, dram_base=STORE.dram_base + 2, y_size=2, x_size=6, x_stride=8,
        sram_base=32,
    )  # fmt: skip
    gemm = replace(GOOD[4], push_prev=False)
    stream = [*GOOD[:4], gemm, store, gaps, Finish()]
    assert check(stream).ok
    stream[6] = replace(gaps, x_size=7)
    assert faults(check(stream)) == [(Kind.RACE, 6, 5)]


# ---- streams that are none -----------------------------------------------------------------------


def test_illegal_words():
    word = b"\x07" + bytes(15)
    stream = ISA.encode_all([Load(memory=MemId.OUT, x_size=1)]) + word
    report = check_stream(CFG, stream)
    assert faults(report) == [(Kind.ILLEGAL, 0, None), (Kind.ILLEGAL, 1, None)]
    with pytest.raises(ProgramError, match="multiple of 16 bytes; got 17"):
        check_stream(CFG, bytes(17))


def test_finish():
    assert faults(check([UOP_LOAD])) == [(Kind.FINISH, None, None)]
    assert faults(check([Finish(), UOP_LOAD])) == [(Kind.FINISH, 1, 0)]
    assert check([UOP_LOAD, Finish(), Store()]).ok


def test_unknown_micro_ops():
    """Without an image nothing is known of them; the report says so, and invents nothing."""
    report = check_stream(CFG, ISA.encode_all(GOOD))
    assert report.ok and "4 instructions run micro-ops that are not known" in report.limits[0]
    assert "the first is instruction 3" in report.limits[0]
    overwritten = replace(STORE, dram_base=UOP_LOAD.dram_base, push_prev=True)
    load = replace(UOP_LOAD, pop_next=True)
    report = check([overwritten, load, RESET, Finish()], after_reset=True)
    assert report.ok and "the first is instruction 2" in report.limits[0]


def test_documentation():
    run_page(Path(__file__).parents[2] / "docs" / "tools" / "check.md")
