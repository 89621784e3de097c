"""What a fuzzing report says of a wrong lane: the STORE, the operations, their operands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.configurations import CONFIGURATIONS
from vta.config import VTAConfig
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Store, Uop
from vta.sim.fuzzing.differential import difference
from vta.sim.fuzzing.lane_history import Lane, stored_byte
from vta.sim.fuzzing.random_programs import RandomProgram
from vta.sim.reference.datapath import Datapath
from vta.sim.reference.model import ReferenceModel

TINY = CONFIGURATIONS["tiny"]
BASE = 0x1000
ACC, INP, WGT, UOPS, OUT = 0x1000, 0x1100, 0x1200, 0x1300, 0x1400
A = np.arange(1, 9, dtype=np.int32).reshape(2, 1, 4)
X = np.array([[[3, -1, 2, 5]]], np.int8)
W = np.arange(-8, 8, dtype=np.int8).reshape(1, 4, 4)


def program(*work, cfg: VTAConfig = TINY) -> RandomProgram:
    """Loads of A, X, W and two micro-ops, (0, 1, 0) and (1, 0, 0); ``work``; a store of 2 tiles."""
    isa = Isa.of(cfg)
    image = np.zeros(4096, np.uint8)
    words = [isa.encode_uop(Uop(0, 1, 0)), isa.encode_uop(Uop(1, 0, 0))]
    for address, data in ((ACC, A), (INP, X), (WGT, W), (UOPS, np.array(words, "<u4"))):
        raw = np.frombuffer(data.tobytes(), np.uint8)
        image[address - BASE :][: raw.size] = raw
    loads = (
        Load(memory=MemId.UOP, dram_base=UOPS // 4, y_size=1, x_size=2),
        Load(memory=MemId.ACC, dram_base=ACC // cfg.acc_elem_bytes, y_size=1, x_size=2),
        Load(memory=MemId.INP, dram_base=INP // cfg.inp_elem_bytes, y_size=1, x_size=1),
        Load(memory=MemId.WGT, dram_base=WGT // cfg.wgt_elem_bytes, y_size=1, x_size=1,
             push_next=True),
        Gemm(uop_bgn=0, uop_end=0, iter_out=1, iter_in=1, pop_prev=True),
    )  # fmt: skip
    store = Store(dram_base=OUT // cfg.out_elem_bytes, y_size=1, x_size=2, pop_prev=True)
    return RandomProgram(cfg, (*loads, *work, store, Finish()), image, BASE)


ADD = Alu(uop_bgn=0, uop_end=2, iter_out=1, iter_in=1, alu_opcode=AluOpcode.ADD)
SHIFT = Alu(
    uop_bgn=1, uop_end=2, iter_out=1, iter_in=1, alu_opcode=AluOpcode.SHR, use_imm=True, imm=1,
    push_next=True,
)  # fmt: skip
PRODUCT = Gemm(uop_bgn=1, uop_end=2, iter_out=1, iter_in=2, push_next=True)


def wrong(entry: int, row: int, column: int) -> ReferenceModel:
    """A model that stores another value of one lane."""

    class Wrong(Datapath):
        def _store(self, insn, memory, counters):
            self.acc[entry, row, column] ^= 2
            super()._store(insn, memory, counters)

    class Model(ReferenceModel):
        def reset(self) -> None:
            self.datapath = Wrong(self.cfg)

    return Model(TINY)


def report(made: RandomProgram, model: ReferenceModel) -> list[str]:
    text = difference(ReferenceModel(TINY), model, made)
    assert text is not None
    return text.splitlines()


def test_operations_of_the_alu() -> None:
    lines = report(program(ADD, SHIFT), wrong(1, 0, 2))
    first = A[0, 0, 2] + A[1, 0, 2]
    second = A[1, 0, 2] + first
    must = second >> 1
    assert lines[0].startswith("1 bytes of DRAM differ, the first at 0x1406: must be 0x")
    assert lines[1] == (
        f"instruction 7 stores it from acc[1][0][2], which must be {must} and is {must ^ 2}; "
        f"the operands, as they must be:"
    )
    assert lines[2].startswith("instruction 1: LOAD ACC")
    assert lines[3:5] == [
        "    acc[1][0][2] = a value of row 0, column 1",
        f"    acc[1][0][2] is {A[1, 0, 2]}",
    ]
    assert lines[5].startswith("instruction 5: ALU ADD")
    assert lines[6:8] == [
        f"    ADD of acc[1][0][2] {A[1, 0, 2]}, acc[0][0][2] {first} gives {second}",
        f"    acc[1][0][2] is {second}",
    ]
    assert lines[9:] == [
        f"    SHR of acc[1][0][2] {second}, immediate 1 gives {must}",
        f"    acc[1][0][2] is {must}",
    ]


def test_products() -> None:
    lines = report(program(PRODUCT), wrong(1, 0, 3))
    start, product = int(A[1, 0, 3]), int(X[0, 0].astype(int) @ W[0, 3].astype(int))
    vectors = f"inp[0][0] {X[0, 0].tolist()} . wgt[0][3] {W[0, 3].tolist()}, which is {product}"
    assert f"must be {start + 2 * product} and is" in lines[1]
    assert lines[-3:] == [
        f"    {start} + {vectors}",
        f"    {start + product} + {vectors}",
        f"    acc[1][0][3] is {start + 2 * product}",
    ]


def test_a_started_sum() -> None:
    """The second of the two rounds continues the sum of the first."""
    lines = report(program(replace(PRODUCT, start=True)), wrong(1, 0, 3))
    product = int(X[0, 0].astype(int) @ W[0, 3].astype(int))
    assert lines[-4] == "    acc[1][0][3] starts at 0"
    assert lines[-3].startswith("    0 + inp[0][0]") and lines[-2].startswith(f"    {product} + ")
    assert lines[-1] == f"    acc[1][0][3] is {2 * product}"


def test_a_byte_that_no_store_writes() -> None:
    class Strays(ReferenceModel):
        def run(self, stream, memory):
            result = super().run(stream, memory)
            memory.data[0x800] = 1
            return result

    assert report(program(SHIFT), Strays(TINY))[1:] == ["no STORE writes there"]


@pytest.mark.parametrize(
    ("cfg", "address", "high", "lane", "half"),
    [
        ("tiny", OUT + 4 + 2, False, Lane(1, 0, 2), None),
        ("i4w4", OUT, False, Lane(0, 0, 0), 0),
        ("i4w4", OUT, True, Lane(0, 0, 1), 1),
        ("i16", OUT + 3, False, Lane(0, 0, 1), None),
    ],
)
def test_widths_of_the_values(cfg, address, high, lane, half) -> None:
    machine = {
        "tiny": TINY,
        "i4w4": TINY.replace(log_inp_width=2, log_wgt_width=2, log_block=3, log_acc_buff_size=11),
        "i16": TINY.replace(log_inp_width=4, log_inp_buff_size=9),
    }[cfg]
    stored = stored_byte(program(SHIFT, cfg=machine), address, high)
    assert stored is not None and (stored.lane, stored.half) == (lane, half)
    data = np.zeros(4096, np.uint8)
    data[stored.start - BASE] = 0x9F
    value = {None: 0x9F - 256 if machine.out_width == 8 else 0x9F, 0: -1, 1: -7}[stored.half]
    assert stored.value(data, BASE) == value
