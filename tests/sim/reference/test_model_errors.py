"""What cannot be executed: which error, which instruction, and what the message tells."""

import numpy as np
import pytest

from tests.support.configurations import CONFIGURATIONS
from vta.config import INSN_QUEUE_DEPTH
from vta.errors import (
    DeadlockError,
    DeviceError,
    DramRangeError,
    EncodingError,
    IllegalInstructionError,
    MissingFinishError,
    SramRangeError,
)
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Store
from vta.sim.memory import Memory
from vta.sim.reference.model import ReferenceModel

TINY = CONFIGURATIONS["tiny"]
BASE = 0x1000
ROW = {"y_size": 1, "x_size": 1, "x_stride": 1}
INP = Load(memory=MemId.INP, dram_base=BASE // 4, **ROW)
NOP_COMPUTE = Load(memory=MemId.UOP)


def run(*insns, uops=(), size=4096):
    """Run on a memory of ones; after an error the on-chip memories are as they were."""
    memory = Memory(BASE, np.ones(size, np.uint8))
    model = ReferenceModel(TINY)
    model.datapath.uop[: len(uops)] = [Isa.of(TINY).encode_uop(uop) for uop in uops]
    try:
        return model.run(list(insns), memory)
    finally:
        assert not model.datapath.acc.any()
        assert (memory.data == 1).all()


@pytest.mark.parametrize(
    ("insn", "message"),
    [
        (Load(memory=MemId.INP, dram_base=BASE // 4, sram_base=64, **ROW), "INP index 64 .* 64"),
        (Load(memory=MemId.INP, sram_base=63, x_pad_1=1, y_size=1, x_size=1), "INP index 64"),
        (Load(memory=MemId.WGT, sram_base=62, y_pad_1=2, y_size=1, x_size=1), "WGT index 64"),
        (Load(memory=MemId.UOP, sram_base=60, y_size=2, x_size=3), "UOP index 65"),
        (Load(memory=MemId.ACC, sram_base=65535, **ROW), "ACC index 65535"),
        (Load(memory=MemId.ACC_8BIT, sram_base=60, y_size=5, x_size=1), "ACC_8BIT index 64"),
        (Store(sram_base=60, dram_base=BASE // 4, y_size=1, x_size=5), "OUT index 64"),
        (Gemm(uop_end=1, iter_in=65, dst_factor_in=1), "ACC index 64"),
        (Gemm(uop_end=1, iter_in=65, dst_factor_in=1, reset=True), "ACC index 64"),
        (
            Gemm(uop_end=1, iter_out=2, src_factor_out=63, iter_in=3, src_factor_in=1),
            "INP index 65",
        ),
        (Gemm(uop_end=1, iter_out=9, wgt_factor_out=8), "WGT index 64"),
        (Alu(uop_end=1, iter_in=65, dst_factor_in=1, use_imm=True), "ACC index 64"),
        (Alu(uop_end=1, iter_in=9, src_factor_in=8), "ACC index 64"),
    ],
)
def test_sram_range(insn, message):
    with pytest.raises(SramRangeError, match=message) as caught:
        run(NOP_COMPUTE, insn, Finish())
    assert caught.value.index == 1


def test_unused_indices_are_not_checked():
    far = {"uop_end": 1, "iter_in": 60}
    assert run(
        Gemm(reset=True, src_factor_in=60, wgt_factor_in=60, **far),
        Alu(alu_opcode=AluOpcode.MUL, use_imm=True, src_factor_in=60, **far),
        Gemm(uop_end=1, iter_in=0, iter_out=99, dst_factor_out=63),
        Gemm(uop_bgn=3, uop_end=3, iter_out=99, dst_factor_out=63),
        Load(memory=MemId.INP, sram_base=65535, y_size=0, x_size=9),
        Store(sram_base=65535, dram_base=0, y_size=0, x_size=9),
        Finish(),
    ).as_dict() == dict.fromkeys(run(Finish()).as_dict(), 0) | {"alu_counter": 60}


@pytest.mark.parametrize(
    ("insn", "addresses"),
    [
        (Load(memory=MemId.INP, dram_base=0, **ROW), r"0x0\.\.0x4;"),
        (Load(memory=MemId.INP, dram_base=BASE // 4 - 1, **ROW), r"0xffc\.\.0x1000"),
        (Load(memory=MemId.INP, dram_base=0x2000 // 4, **ROW), r"0x2000\.\.0x2004"),
        (Load(memory=MemId.WGT, dram_base=2**32 - 1, **ROW), r"0xffffffff0\.\.0x1000000000"),
        (Load(memory=MemId.ACC, dram_base=0x1FF0 // 16, y_size=1, x_size=2), r"0x1ff0\.\.0x2010"),
        (
            Load(memory=MemId.INP, dram_base=0x1FF0 // 4, y_size=3, x_size=1, x_stride=2),
            r"0x2000\.\.0x2004",
        ),
        (Store(dram_base=0x1FFC // 4, y_size=2, x_size=1, x_stride=1), r"0x2000\.\.0x2004"),
        (Store(dram_base=0x0FFC // 4, **ROW), r"0xffc\.\.0x1000"),
    ],
)
def test_dram_range(insn, addresses):
    with pytest.raises(DramRangeError, match=addresses) as caught:
        run(insn, Finish())
    assert caught.value.index == 0
    assert "0x1000..0x2000" in str(caught.value)


@pytest.mark.parametrize(
    ("insn", "message"),
    [
        (Load(memory=MemId.OUT, **ROW), "cannot write OUT"),
        (Store(memory=MemId.INP, **ROW), "reads OUT or ACC; got INP"),
        (Store(x_pad_0=1, **ROW), "cannot pad"),
        (Load(memory=MemId.INP, pop_prev=True), "no previous module"),
        (Load(memory=MemId.WGT, push_prev=True), "no previous module"),
        (Store(pop_next=True), "no next module"),
        (Store(push_next=True), "no next module"),
        (Gemm(uop_bgn=2, uop_end=1), "ends before it begins"),
        (Alu(uop_bgn=2, uop_end=1, iter_out=0), "ends before it begins"),
        (Gemm(uop_end=65), "65; the micro-op SRAM has 64"),
    ],
)
def test_illegal(insn, message):
    with pytest.raises(IllegalInstructionError, match=message) as caught:
        run(NOP_COMPUTE, NOP_COMPUTE, insn, Finish())
    assert caught.value.index == 2


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (5, "opcode 5"),
        (7, "opcode 7"),
        (0 | 6 << 7, "MemId"),
        (3 | 1 << 7, "belong to no field"),
        (0 | 1 << 58, "belong to no field"),
    ],
)
def test_words_that_are_no_instruction(word, message):
    memory = Memory.zeros(BASE, 64)
    with pytest.raises(IllegalInstructionError, match=message) as caught:
        ReferenceModel(TINY).run(word.to_bytes(16, "little"), memory)
    assert f"0x{word:032x}" in caught.value.instruction


def test_deadlock_tells_everything():
    with pytest.raises(DeadlockError) as caught:
        run(
            Load(memory=MemId.INP, push_next=True),
            Load(memory=MemId.INP, pop_next=True),
            Load(memory=MemId.UOP, pop_prev=True, pop_next=True),
            Finish(),
        )
    error = caught.value
    assert error.index == 1
    assert error.tokens == {"l2g": 1, "g2l": 0, "g2s": 0, "s2g": 0}
    assert error.heads == {
        "load": "at instruction 1: NOP (load)  pop(next)  [waits for g2l]",
        "compute": "at instruction 2: NOP (compute)  pop(prev, next)  [waits for s2g]",
        "store": "idle",
    }
    assert "l2g=1" in str(error)


def test_pops_are_taken_together():
    """An instruction that lacks one of its two tokens leaves the other one in its queue."""
    with pytest.raises(DeadlockError) as caught:
        run(Store(push_prev=True), Load(memory=MemId.UOP, pop_prev=True, pop_next=True), Finish())
    assert caught.value.tokens["s2g"] == 1


def test_full_queue_stops_fetch():
    """Behind a full queue an instruction that would free it is not reached; one less and it is."""
    waiting = [Load(memory=MemId.INP, pop_next=True)] + [INP] * INSN_QUEUE_DEPTH
    freeing = Load(memory=MemId.UOP, push_prev=True)
    assert run(*waiting[:-1], freeing, Finish()).counters.inp_load_nbytes == 511 * 4
    with pytest.raises(DeadlockError) as caught:
        run(*waiting, freeing, Finish())
    assert caught.value.heads["compute"] == "idle"


@pytest.mark.parametrize(
    ("insns", "message"),
    [
        ((), "0 instructions"),
        ((INP,), "1 instructions ended without FINISH"),
        ((Finish(), Finish()), "FINISH at 0"),
        ((NOP_COMPUTE, Finish(), NOP_COMPUTE), "FINISH at 1"),
    ],
)
def test_finish_is_missing_or_not_last(insns, message):
    with pytest.raises(MissingFinishError, match=message):
        run(*insns)


def test_after_finish_the_others_go_on():
    result = run(Finish(push_prev=True, push_next=True), Load(memory=MemId.INP, pop_next=True), INP)
    assert result.counters.inp_load_nbytes == 4
    assert result.tokens == {"l2g": 0, "g2l": 0, "g2s": 1, "s2g": 0}


def test_tokens_do_not_outlive_a_run():
    model, memory = ReferenceModel(TINY), Memory.zeros(BASE, 64)
    model.run([Load(memory=MemId.INP, push_next=True), Finish()], memory)
    with pytest.raises(DeadlockError):
        model.run([Load(memory=MemId.UOP, pop_prev=True), Finish()], memory)


def test_a_run_after_an_error_works():
    model, memory = ReferenceModel(TINY), Memory.zeros(BASE, 64)
    with pytest.raises(SramRangeError):
        model.run([Load(memory=MemId.UOP, sram_base=64, **ROW), Finish()], memory)
    assert model.run([Finish()], memory).tokens == dict.fromkeys(("l2g", "g2l", "g2s", "s2g"), 0)


def test_stream_and_memory_must_fit():
    model = ReferenceModel(TINY)
    with pytest.raises(DeviceError, match="multiple of 16 bytes; got 17"):
        model.run(bytes(17), Memory.zeros(0, 16))
    with pytest.raises(DeviceError, match="32 bits"):
        model.run([Finish()], Memory.zeros(2**32 - 8, 16))
    with pytest.raises(EncodingError, match=r"instruction 1: .*sram_base is 65536"):
        model.run([INP, Load(memory=MemId.INP, sram_base=65536)], Memory.zeros(0, 16))
