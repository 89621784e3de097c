"""The simulated RTL as a device sees it: results, every way to go wrong, and life after that."""

import numpy as np
import pytest

from tests.support.copy_program import (
    ACC,
    BASE,
    CFG,
    GOOD,
    OUT,
    ROUND,
    check_good,
    load_acc,
    low_bytes,
    memory,
    store,
)
from tests.support.verilated import verilated
from vta.errors import (
    DeadlockError,
    DeviceError,
    DramRangeError,
    ExecutionError,
    IllegalInstructionError,
    MissingFinishError,
    SramRangeError,
    TimeoutError,
)
from vta.isa import Alu, AluOpcode, Finish, Gemm, Isa, Load, MemId, Store
from vta.memory_timing import MemoryTiming
from vta.sim.memory import Memory
from vta.sim.rtl.harness import Injection
from vta.sim.rtl.machine import VerilatedMachine


@pytest.mark.parametrize("preset", ["ideal", "ddr", "chaos"])
def test_a_good_program(preset):
    check_good(verilated("tiny", preset))


ERRORS = {
    "deadlock": (
        [load_acc(4), Gemm(pop_prev=True), Finish()],
        DeadlockError, ["deadlock", "at instruction 1: GEMM", "[waits for l2g]"],
    ),
    "deadlock_of_the_store": (
        [Finish(), store(64, pop_prev=True)],
        DeadlockError, ["at instruction 1: STORE", "compute module: idle", "[waits for g2s]"],
    ),
    "missing_finish": ([load_acc(4)], MissingFinishError, ["without FINISH"]),
    "empty": ([], MissingFinishError, ["without FINISH"]),
    "after_finish": (
        [Finish(), Gemm()], MissingFinishError, ["follows FINISH", "at instruction 1: GEMM"],
    ),
    "load_above": (
        [load_acc(4), load_acc(0x1000 // ACC), Finish()],
        DramRangeError, ["0x5000", "asked for by compute", "at instruction 1: LOAD ACC"],
    ),
    "load_beside_gemm": (
        [Gemm(reset=True, uop_end=1, iter_out=500), load_acc(0x1000 // ACC, sram_base=4), Finish()],
        DramRangeError, ["0x5000", "asked for by compute", "at instruction 1: LOAD ACC"],
    ),
    "load_below": (
        [Load(memory=MemId.INP, dram_base=BASE // CFG.inp_elem_bytes - 2, **ROUND), Finish()],
        DramRangeError, ["0x3ff8", "asked for by load", "at instruction 0: LOAD INP"],
    ),
    "store_above": (
        [store(0x1000 // OUT), Finish()],
        DramRangeError, ["0x5000", "asked for by store", "at instruction 0: STORE"],
    ),
    "beyond_the_bus": (
        [load_acc(2**32 - 1 - BASE // ACC), Finish()],
        DramRangeError, ["does not fit", "at instruction 0: LOAD ACC"],
    ),
    "sram_load": (
        [load_acc(4, sram_base=CFG.acc_depth - 1), Finish()],
        SramRangeError, ["at instruction 0: LOAD ACC"],
    ),
    "sram_load_beside_gemm": (
        [
            Gemm(reset=True, uop_end=1, iter_out=500),
            load_acc(4, sram_base=CFG.acc_depth - 1),
            Finish(),
        ],
        SramRangeError, ["at instruction 1: LOAD ACC"],
    ),
    "sram_store": (
        [store(64, sram_base=CFG.acc_depth - 1), Finish()],
        SramRangeError, ["at instruction 0: STORE"],
    ),
    "sram_alu": (
        [
            Alu(alu_opcode=AluOpcode.ADD, use_imm=True, imm=1, uop_end=1,
                iter_in=CFG.acc_depth + 1, dst_factor_in=1),
            Finish(),
        ],
        SramRangeError, ["at instruction 0: ALU ADD imm 1"],
    ),
    "illegal": (
        [load_acc(4), store(64, x_pad_0=1), Finish()],
        IllegalInstructionError, ["cannot pad", "at instruction 1: STORE"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("preset", ["ideal", "chaos"])
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_says_what_and_where_and_the_next_run_is_good(name, preset):
    stream, kind, texts = ERRORS[name]
    machine = verilated("tiny", preset)
    mem = memory()
    with pytest.raises(ExecutionError) as caught:
        machine.run(stream, mem)
    assert type(caught.value) is kind, str(caught.value)
    for text in [*texts, "load module: ", "store module: ", "tokens: l2g="]:
        assert text in str(caught.value)
    check_good(machine)


def test_an_opcode_that_does_not_exist():
    machine = verilated()
    stream = Isa.of(CFG).encode_all(GOOD[:1]) + b"\x07" + bytes(15)
    with pytest.raises(IllegalInstructionError, match="instruction 1: not an instruction"):
        machine.run(stream, memory())
    check_good(machine)


@pytest.mark.parametrize(
    ("injection", "who", "index"),
    [
        (Injection(low=BASE + 4 * ACC, high=BASE + 4 * ACC + 1), "compute", 0),
        (Injection(write_burst=0), "store", 1),
        (Injection(read_beat=0), "fetch", None),
    ],
)
@pytest.mark.parametrize("preset", ["ideal", "chaos"])
def test_a_bus_error_ends_the_run(injection, who, index, preset):
    machine = verilated("tiny", preset)
    with pytest.raises(
        ExecutionError, match=f"SLVERR at 0x[0-9a-f]+, asked for by {who}"
    ) as caught:
        machine.run(GOOD, memory(), injection=injection)
    assert type(caught.value) is ExecutionError
    assert caught.value.index == index
    check_good(machine)


@pytest.mark.parametrize("name", ["store_above", "load_above"])
def test_nothing_outside_the_memory_is_touched(name):
    surroundings = (np.arange(0x3000) % 249).astype(np.uint8)
    before = surroundings.copy()
    inner = Memory(BASE, surroundings[0x1000:0x2000])
    with pytest.raises(DramRangeError):
        verilated().run(ERRORS[name][0], inner)
    assert (surroundings == before).all()


def test_a_restricted_memory_answers_only_where_it_is_allowed():
    mem = Memory(BASE, memory().data, restricted=True)
    mem.allow(BASE + 4 * ACC, 2 * ACC)
    machine = verilated()
    with pytest.raises(DramRangeError, match="asked for by store"):
        machine.run(GOOD, mem)
    mem.allow(BASE + 64 * OUT, 2 * OUT)
    machine.run(GOOD, mem)
    assert (mem.data[64 * OUT :][: 2 * OUT] == low_bytes(memory().data, 4)).all()


def test_a_hang_ends_at_the_cycle_limit_with_the_state():
    silent = MemoryTiming(stall_b=1)
    machine = VerilatedMachine(CFG, silent, cycle_limit=3000)
    with pytest.raises(TimeoutError, match="limit of 3000 cycles") as caught:
        machine.run(GOOD, memory())
    text = str(caught.value)
    assert "store module: at instruction 1: STORE OUT" in text and "[running]" in text
    assert "compute module: at instruction 2: FINISH  pop(next)  [waits for s2g]" in text
    assert "tokens: l2g=0, g2l=0, g2s=0, s2g=0" in text
    with pytest.raises(DeviceError, match="its last run did not end; reset"):
        machine.run(GOOD, memory())
    machine.reset()
    with pytest.raises(TimeoutError):
        machine.run(GOOD, memory())


def test_a_hang_of_fetch_is_seen_without_being_asked():
    machine = VerilatedMachine(CFG, MemoryTiming(stall_ar=1))
    with pytest.raises(TimeoutError, match="fetch module: busy"):
        machine.run(GOOD, memory())


def test_on_chip_memories_live_until_reset():
    machine = verilated()
    machine.reset()
    machine.run([load_acc(4), Finish()], memory())
    only_store = [store(64), Finish()]
    kept, fresh = memory(), memory()
    machine.run(only_store, kept)
    assert (kept.data[64 * OUT :][: 2 * OUT] == low_bytes(memory().data, 4)).all()
    machine.reset()
    machine.run(only_store, fresh)
    assert not fresh.data[64 * OUT :][: 2 * OUT].any()


def test_tokens_that_are_left_over_are_reported_and_cleared_at_launch():
    machine = verilated()
    leaving = [
        Load(memory=MemId.INP, push_next=True),
        Load(memory=MemId.INP, push_next=True),
        Gemm(push_prev=True),
        Gemm(push_next=True),
        Finish(push_next=True),
        Store(push_prev=True),
    ]
    result = machine.run(leaving, memory())
    assert result.tokens == {"l2g": 2, "g2l": 1, "g2s": 2, "s2g": 1}
    with pytest.raises(DeadlockError):
        machine.run([Gemm(pop_prev=True), Finish()], memory())


def test_the_same_seed_gives_the_same_cycles():
    def cycles(seed):
        machine = VerilatedMachine(CFG, "chaos", seed)
        return [machine.run(GOOD, memory()).cycle_count for _ in range(2)]

    assert cycles(1) == cycles(1)
    assert len({cycles(seed)[0] for seed in range(6)}) > 1


@pytest.mark.parametrize("seed", [0, 1, 3, 255])
def test_the_stream_may_begin_anywhere(seed):
    check_good(VerilatedMachine(CFG, "ideal", seed))


def test_a_memory_at_the_top_of_the_address_space():
    top = Memory((1 << CFG.addr_bits) - 0x1000, memory().data)
    tiles = top.base // ACC, top.base // OUT
    stream = [
        Load(memory=MemId.ACC, dram_base=tiles[0] + 4, push_next=True, **ROUND),
        Store(dram_base=tiles[1] + 64, pop_prev=True, **ROUND),
        Finish(),
    ]
    verilated().run(stream, top)
    assert (top.data[64 * OUT :][: 2 * OUT] == low_bytes(memory().data, 4)).all()


def test_requests_that_cannot_be():
    machine = verilated()
    with pytest.raises(DeviceError, match="multiple of 16 bytes; got 17"):
        machine.run(bytes(17), memory())
    with pytest.raises(DeviceError, match="addresses have 32 bits"):
        machine.run(GOOD, Memory(1 << 32, memory().data))
    with pytest.raises(DeviceError, match="no memory preset 'dr'"):
        VerilatedMachine(CFG, "dr")


def test_a_closed_machine_says_so():
    machine = VerilatedMachine(CFG)
    machine.close()
    with pytest.raises(DeviceError, match="it is closed; reset"):
        machine.run(GOOD, memory())
    machine.reset()
    check_good(machine)
