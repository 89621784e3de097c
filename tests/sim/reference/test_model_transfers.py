"""LOAD and STORE against arrays laid out by hand."""

import numpy as np
import pytest

from tests.support.configurations import CONFIGURATIONS, machine
from vta.config import VTAConfig
from vta.isa import Alu, AluOpcode, Finish, Instruction, Load, MemId, Store
from vta.sim.memory import Memory
from vta.sim.reference.model import ReferenceModel

TINY = CONFIGURATIONS["tiny"]  # 1x4: inp and out 4 bytes, wgt 16, acc 16, depth 64
BASE = 0x1000


def run(cfg: VTAConfig, *insns: Instruction, data: bytes = b"", size: int = 4096):
    memory = Memory.zeros(BASE, size)
    memory.data[: len(data)] = np.frombuffer(data, np.uint8)
    model = ReferenceModel(cfg)
    for name in ("uop", "inp", "wgt", "acc"):
        getattr(model.datapath, name)[...] = 7  # what a load does not write stays
    result = model.run([*insns, Finish()], memory)
    return model.datapath, memory, result


def test_padding_and_stride():
    data = bytes(range(64))
    load = Load(
        memory=MemId.INP, sram_base=3, dram_base=BASE // 4, y_size=2, x_size=2, x_stride=5,
        y_pad_0=1, y_pad_1=2, x_pad_0=1, x_pad_1=3,
    )  # fmt: skip
    path, _, result = run(TINY, load, data=data)
    grid = np.zeros((5, 6, 4), int)
    grid[1, 1:3] = [[0, 1, 2, 3], [4, 5, 6, 7]]
    grid[2, 1:3] = [[20, 21, 22, 23], [24, 25, 26, 27]]
    assert path.inp[3:33, 0].tolist() == grid.reshape(30, 4).tolist()
    assert (path.inp[:3] == 7).all() and (path.inp[33:] == 7).all()
    assert result.counters.inp_load_nbytes == 2 * 2 * 4  # padding is not counted


@pytest.mark.parametrize(
    ("memory", "elem_bytes", "counter", "counted"),
    [
        (MemId.UOP, 4, "uop_load_nbytes", 4),
        (MemId.INP, 4, "inp_load_nbytes", 4),
        (MemId.WGT, 16, "wgt_load_nbytes", 16),
        (MemId.ACC, 16, "acc_load_nbytes", 16),
        (MemId.ACC_8BIT, 4, "acc_load_nbytes", 16),
    ],
)
def test_every_memory_obeys_every_field(memory, elem_bytes, counter, counted):
    data = np.arange(256, dtype=np.uint8)
    load = Load(
        memory=memory, sram_base=2, dram_base=BASE // elem_bytes + 1, y_size=2, x_size=1,
        x_stride=2, y_pad_0=1, y_pad_1=1, x_pad_0=1, x_pad_1=1,
    )  # fmt: skip
    path, _, result = run(TINY, load, data=data.tobytes())
    name = memory.name.lower().removesuffix("_8bit")
    rows = [data[elem_bytes * n : elem_bytes * (n + 1)] for n in (1, 3)]
    kind = {"uop": "<u4", "acc": "<i4"}.get(name, "i1")
    if memory is MemId.ACC_8BIT:
        kind = "i1"
    expected = np.zeros((12, rows[0].view(kind).size), np.int64)
    expected[4], expected[7] = (row.view(kind) for row in rows)
    assert np.array_equal(getattr(path, name)[2:14].reshape(12, -1), expected)
    assert result.as_dict() == {key: counted * 2 * (key == counter) for key in result.as_dict()}


def test_acc_8bit_extends_the_sign():
    load = Load(memory=MemId.ACC_8BIT, dram_base=BASE // 4, y_size=1, x_size=1, x_stride=1)
    path, _, _ = run(TINY, load, data=bytes([0x80, 0x7F, 0xFF, 0]))
    assert path.acc[0, 0].tolist() == [-128, 127, -1, 0]


def test_rows_of_padding_alone():
    load = Load(memory=MemId.INP, dram_base=0, y_size=0, x_size=2, x_stride=9, y_pad_0=1, x_pad_1=1)
    path, _, result = run(TINY, load)
    assert not path.inp[:3].any() and (path.inp[3:] == 7).all()
    assert result.counters.inp_load_nbytes == 0


@pytest.mark.parametrize(
    "nop",
    [
        Load(
            memory=MemId.INP, sram_base=65535, dram_base=2**32 - 1, y_size=9, y_pad_0=3, x_pad_0=3
        ),
        Load(memory=MemId.WGT, y_size=65535, x_stride=65535, x_pad_1=15),
        Load(memory=MemId.UOP, y_pad_0=15, x_pad_0=15),
        Load(memory=MemId.ACC, sram_base=64, y_size=1),
        Load(memory=MemId.ACC_8BIT, dram_base=1),
        Store(memory=MemId.UOP, y_pad_0=1, sram_base=999, y_size=3),
        Store(dram_base=0, y_size=1),
    ],
)
def test_nothing_but_tokens(nop):
    path, memory, result = run(TINY, nop)
    assert all((sram == 7).all() for sram in (path.uop, path.inp, path.wgt, path.acc))
    assert not memory.data.any()
    assert not any(result.as_dict().values())


def test_store_cuts_to_the_low_bits():
    acc = np.array([[128, -129, 0x1FF, -1], [256, 255, -256, 1]], "<i4")
    _, memory, result = run(
        TINY,
        Load(memory=MemId.ACC, sram_base=5, dram_base=BASE // 16, y_size=1, x_size=2, x_stride=2),
        Alu(alu_opcode=AluOpcode.ADD, use_imm=True, uop_bgn=0, uop_end=0),  # touches nothing
        Store(
            sram_base=5, dram_base=(BASE + 64) // 4, y_size=2, x_size=1, x_stride=3, pop_prev=True
        ),
        Load(memory=MemId.UOP, push_next=True),
        data=acc.tobytes(),
    )
    assert memory.data[64:80].tolist() == [0x80, 0x7F, 0xFF, 0xFF, *[0] * 8, 0, 0xFF, 0, 1]
    assert not memory.data[80:].any()
    assert result.counters.out_store_nbytes == 8


def test_four_bits():
    """Two values in a byte, the first in the low half."""
    cfg = machine(block=2, inp=2, wgt=2)  # inp 2 bytes, wgt 8, acc 16
    data = bytes([0x21, 0x87, 0xF0, 0x0F, 0x10, 0x32, 0x54, 0x76])
    path, memory, result = run(
        cfg,
        Load(memory=MemId.INP, dram_base=BASE // 2, y_size=1, x_size=2, x_stride=2),
        Load(memory=MemId.WGT, dram_base=BASE // 8, y_size=1, x_size=1, x_stride=1),
        Load(memory=MemId.ACC_8BIT, dram_base=BASE // 4, y_size=1, x_size=2, x_stride=2,
             push_next=True),
        Store(dram_base=(BASE + 32) // 2, y_size=1, x_size=2, x_stride=2, pop_prev=True),
        data=data,
    )  # fmt: skip
    assert path.inp[:2].tolist() == [[[1, 2, 7, -8]], [[0, -1, -1, 0]]]
    assert path.wgt[0].tolist() == [[1, 2, 7, -8], [0, -1, -1, 0], [0, 1, 2, 3], [4, 5, 6, 7]]
    # acc lanes 0x21, 0x87, 0xF0, 0x0F, 0x10, 0x32, 0x54, 0x76 cut to their low halves
    assert memory.data[32:36].tolist() == [0x71, 0xF0, 0x20, 0x64]
    assert (result.counters.inp_load_nbytes, result.counters.wgt_load_nbytes) == (4, 8)
    assert result.counters.out_store_nbytes == 4


def test_memories_persist_until_reset():
    memory = Memory.zeros(BASE, 4096)
    memory.data[:4] = 1, 2, 3, 4
    model = ReferenceModel(TINY)
    assert not any(sram.any() for sram in (model.datapath.inp, model.datapath.acc))
    model.run(
        [Load(memory=MemId.INP, dram_base=BASE // 4, y_size=1, x_size=1, x_stride=1), Finish()],
        memory,
    )
    model.run([Finish()], memory)
    assert model.datapath.inp[0, 0].tolist() == [1, 2, 3, 4]
    model.reset()
    assert not model.datapath.inp.any()
