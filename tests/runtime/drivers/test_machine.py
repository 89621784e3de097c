"""The driver on the real RTL: every register access crosses the pins of the control port, and the
memory is as incoherent as a board's may be."""

import numpy as np
import pytest

import vta
from tests.support.driver_ports import CachedDram, PlainDram, PortMemory, RtlBoard, RtlRegisters
from tests.support.small_vadd import COUNTERS, TINY, vadd_arrays, vadd_module
from tests.support.verilated import verilated
from tests.support.workloads import matmul, schedule_matmul
from vta.compiler.target import Target
from vta.environment import Environment
from vta.errors import (
    DeadlockError,
    DeviceError,
    DramRangeError,
    ExecutionError,
    IllegalInstructionError,
    TimeoutError,
)
from vta.isa import Finish, Isa, Load, MemId
from vta.memmap import CONTROL_LAUNCH, CONTROL_RESET, STATUS_DONE, register
from vta.memory_timing import MemoryTiming
from vta.runtime import array, empty
from vta.runtime.device import Device, Programmable
from vta.runtime.drivers.machine import MappedDevice
from vta.sim.rtl.harness import Injection, Region

BASE = 0x1E90_0000
NBYTES = 1 << 20


def rtl_board(dram=None, timing=None, base=BASE, machine="tiny"):
    return RtlBoard(verilated(machine)._library, dram or CachedDram(NBYTES), base, timing)


def opened(board, memory=PortMemory, cfg=TINY, **options):
    registers = RtlRegisters(board)
    timing = {"clock": board.clock, "pause": board.pause}
    return MappedDevice(cfg, registers, memory(board.dram, board.base), **timing, **options)


@pytest.fixture
def board():
    return rtl_board()


@pytest.fixture
def device(board):
    return opened(board, name="fake")


def put(device, insns):
    """A stream in device memory: its address and length."""
    stream = insns if isinstance(insns, bytes) else Isa.of(TINY).encode_all(insns)
    addr = device.alloc(max(len(stream), 1))
    device.write(addr, stream)
    return addr, len(stream) // 16


def still_runs(device):
    """A program gives the right result."""
    arrays, expected = vadd_arrays(device, seed=9)
    module = vadd_module()
    module(*arrays)
    np.testing.assert_array_equal(arrays[2].numpy(), expected)


# ---- programs -----------------------------------------------------------------------------------


def test_it_is_a_device_but_configures_no_fpga(device):
    assert isinstance(device, Device) and not isinstance(device, Programmable)
    assert repr(device) == "fake(1x4_i8w8a32_8_8_10_10)"


@pytest.mark.parametrize("dram", [CachedDram, PlainDram])
@pytest.mark.parametrize("timing", [MemoryTiming(), MemoryTiming.of("chaos")])
def test_the_vector_sum_of_the_tutorial(dram, timing):
    device = opened(rtl_board(dram(NBYTES), timing))
    for seed in (5, 6):
        arrays, expected = vadd_arrays(device, seed)
        vadd_module()(*arrays)
        np.testing.assert_array_equal(arrays[2].numpy(), expected)


def test_a_matrix_product(device):
    ops = matmul(1, 4, 4, 1, 4)
    with Environment(TINY):
        module = vta.build(schedule_matmul(ops, Target.from_config(TINY), 2, 2), ops.args)
    rng = np.random.default_rng(3)
    data = rng.integers(-128, 128, (1, 4, 1, 4), np.int8)
    weight = rng.integers(-128, 128, (4, 4, 4, 4), np.int8)
    result = empty((1, 4, 1, 4), "int8", device)
    module(array(data, device), array(weight, device), result)
    product = np.einsum("onbi,mnci->ombc", data.astype(np.int32), weight.astype(np.int32))
    np.testing.assert_array_equal(result.numpy(), np.clip(product >> 8, 0, 127).astype(np.int8))


def test_counters_cycles_and_tokens_come_from_the_registers(device):
    arrays, _ = vadd_arrays(device)
    module = vadd_module()
    stream = module.program.relocate([a.address for a in arrays], uops := device.alloc(64))
    device.write(uops, module.program.uops)
    result = device.run(*put(device, stream))
    assert result.counters.as_dict() == COUNTERS
    assert 50 < result.cycle_count < 500
    assert result.tokens == {"l2g": 0, "g2l": 0, "g2s": 0, "s2g": 0}


def test_new_memory_is_zero_for_host_and_accelerator(board, device):
    addr = device.alloc(5000)
    assert device.read(addr, 5000) == bytes(5000)
    assert not board.dram.data[addr - BASE :][:5000].any()


def test_it_does_not_spin_while_a_run_is_long(board, device):
    many = [Load(memory=MemId.INP, y_size=1, x_size=16, x_stride=16, dram_base=BASE // 4)] * 2000
    at = put(device, [*many, Finish()])
    board.accesses.clear()
    device.run(*at)
    looks = sum(offset == register("STATUS").offset for offset, _ in board.accesses)
    assert looks < 150  # some 0.2 s of simulated time


# ---- what must not be forgotten -----------------------------------------------------------------


class NeverFlushes(PortMemory):
    def flush(self, addr, nbytes):
        pass


class NeverInvalidates(PortMemory):
    def invalidate(self, addr, nbytes):
        pass


class FlushesShort(PortMemory):
    def flush(self, addr, nbytes):
        super().flush(addr, max(nbytes - 32, 0))


@pytest.mark.parametrize("memory", [NeverFlushes, NeverInvalidates, FlushesShort])
def test_the_cache_of_these_tests_notices_a_driver_that_forgets(memory):
    """A control of the tests themselves: with a step of the driver left out, they fail."""
    device = opened(rtl_board(), memory)
    arrays, expected = vadd_arrays(device)
    try:
        vadd_module()(*arrays)
    except ExecutionError:
        return  # the instructions themselves were in the cache only
    assert (arrays[2].numpy() != expected).any()


def test_nothing_that_was_written_is_lost(board, device):
    still_runs(device)
    still_runs(device)
    assert board.dram.lost == 0


def test_no_dirty_line_is_left_at_a_launch(board, device):
    still_runs(device)
    assert not board.dram.dirty.any()


def test_a_write_beside_a_result_does_not_lose_either(board, device):
    """Host and accelerator use one cache line in turn."""
    addr = device.alloc(64)
    device.write(addr, bytes(range(64)))
    board.dram.data[addr - BASE + 8 :][:8] = 0xEE  # as if the accelerator had stored there
    device.read(addr, 64)
    device.write(addr, b"\x77" * 8)
    expected = b"\x77" * 8 + b"\xee" * 8 + bytes(range(16, 64))
    assert device.read(addr, 64) == expected
    assert board.dram.data[addr - BASE :][:64].tobytes() == expected


@pytest.mark.parametrize("dram", [CachedDram, PlainDram])
@pytest.mark.parametrize("seed", range(5))
def test_host_and_accelerator_always_see_the_same(dram, seed):
    """Writes and reads of any alignment between runs that store anywhere."""
    board = rtl_board(dram(NBYTES))
    device = opened(board)
    rng = np.random.default_rng(seed)
    size = 700
    addr = device.alloc(size)
    truth = np.zeros(size, np.uint8)
    there = board.dram.data[addr - BASE :][:size]
    for _ in range(300):
        begin, end = np.sort(rng.integers(0, size + 1, 2))
        new = rng.integers(0, 256, end - begin, np.uint8)
        match rng.integers(3):
            case 0:
                device.write(addr + int(begin), new.tobytes())
                truth[begin:end] = new
            case 1:
                got = device.read(addr + int(begin), int(end - begin))
                assert got == truth[begin:end].tobytes()
            case 2:
                board.dram.before_run()
                np.testing.assert_array_equal(there, truth)
                there[begin:end] = truth[begin:end] = new
                board.dram.after_run()


# ---- runs that go wrong -------------------------------------------------------------------------


def test_a_stale_done_does_not_end_the_next_run(board, device):
    still_runs(device)
    assert board.read(register("STATUS").offset) == STATUS_DONE
    board.accesses.clear()
    still_runs(device)
    order = [(o, v) for o, v in board.accesses if v is not None]
    clear = (register("STATUS").offset, STATUS_DONE)
    launch = (register("CONTROL").offset, CONTROL_LAUNCH)
    assert order.index(clear) < order.index(launch)


class KeepsDone(RtlRegisters):
    """A machine whose DONE cannot be cleared."""

    def read(self, offset):
        done = STATUS_DONE if offset == register("STATUS").offset else 0
        return super().read(offset) | done


def test_a_done_that_stays_is_no_result(board):
    memory = PortMemory(board.dram, BASE)
    device = MappedDevice(TINY, KeepsDone(board), memory, clock=board.clock, pause=board.pause)
    board.accesses.clear()
    with pytest.raises(DeviceError, match="STATUS reads 0x2 after DONE was cleared"):
        device.run(*put(device, [Finish()]))
    assert board.written("CONTROL") == []


def test_a_busy_machine_is_left_alone():
    board = rtl_board(timing=MemoryTiming(stall_r=1.0))
    device = opened(board)
    addr, count = put(device, [Finish()])
    for name, value in (("INSN_ADDR", addr), ("INSN_COUNT", count), ("CONTROL", CONTROL_LAUNCH)):
        board.write(register(name).offset, value)
    board.accesses.clear()
    with pytest.raises(DeviceError, match="busy with a run that is not this driver's"):
        device.run(addr, count)
    assert board.written("CONTROL") == []


def test_the_error_register_becomes_the_error(device):
    with pytest.raises(DramRangeError, match=r"access outside the memory at 0x.*, .* by load"):
        device.run(*put(device, [Load(memory=MemId.INP, y_size=1, x_size=1, x_stride=1), Finish()]))
    with pytest.raises(IllegalInstructionError) as error:
        device.run(*put(device, Isa.of(TINY).encode(Finish()) + b"\x05" + bytes(15)))
    assert error.value.index == 1
    still_runs(device)


def test_a_bus_error_is_told_with_its_address(board, device):
    addr = device.alloc(4096)
    board.harness.map(
        [Region(BASE, board.dram.data, 0b111, True)],
        injection=Injection(low=addr, high=addr + 4),
    )
    load = Load(memory=MemId.INP, dram_base=addr // 4, y_size=1, x_size=1, x_stride=1)
    with pytest.raises(ExecutionError, match=rf"the memory answered SLVERR at 0x{addr:x}, asked f"):
        device.run(*put(device, [load, Finish()]))
    still_runs(device)


def test_the_machine_says_that_it_reports_no_details():
    """The driver's configuration has ERROR_DETAIL 1, as every one that does not name the key."""
    device = opened(rtl_board(machine=TINY.replace(error_detail=0)))
    outside = Load(memory=MemId.INP, y_size=1, x_size=1, x_stride=1)
    text = r"outside the memory, asked for by load; this machine does not report where"
    with pytest.raises(DramRangeError, match=text) as error:
        device.run(*put(device, [outside, Finish()]))
    assert "0x" not in str(error.value) and error.value.index is None
    with pytest.raises(DeadlockError, match=r"at instruction 1: .*\n.*\n.*waits for l2g"):
        device.run(*put(device, [Load(memory=MemId.INP), Finish(pop_prev=True)]))
    still_runs(device)


def test_a_deadlock_is_told_with_the_module_that_waits(device):
    with pytest.raises(DeadlockError, match="waits for l2g"):
        device.run(*put(device, [Finish(pop_prev=True)]))
    still_runs(device)


def test_a_run_that_does_not_end_is_reset_and_told():
    board = rtl_board(timing=MemoryTiming(read_latency=400_000))
    device = opened(board, timeout=1.0)
    with pytest.raises(TimeoutError, match="the run did not end in time") as error:
        device.run(*put(device, [Finish()]))
    assert "fetch module: busy" in str(error.value)
    assert board.written("CONTROL")[-1] == CONTROL_RESET


def test_a_reset_makes_the_next_run_work():
    board = rtl_board(timing=MemoryTiming(read_latency=150_000))  # answers within the reset
    device = opened(board, timeout=0.5)
    with pytest.raises(TimeoutError):
        device.run(*put(device, [Finish()]))
    device.timeout = 100.0
    assert device.run(*put(device, [Finish()])).counters.gemm_counter == 0


@pytest.mark.parametrize("dead", ["stall_ar", "stall_r"])
def test_a_memory_that_never_answers_is_named(dead):
    board = rtl_board(timing=MemoryTiming(**{dead: 1.0}))
    device = opened(board, timeout=0.1)
    at = put(device, [Finish()])
    with pytest.raises(TimeoutError, match="a reset does not help: the memory does not answer"):
        device.run(*at)
    board.accesses.clear()
    with pytest.raises(DeviceError, match="cannot run: the memory does not answer"):
        device.run(*at)
    assert board.accesses == []  # not touched again


def test_the_time_of_a_long_run_is_reckoned_from_its_work(board):
    device = opened(board, clock_hz=200_000)
    many = [Load(memory=MemId.INP, y_size=1, x_size=16, x_stride=16, dram_base=BASE // 4)] * 16000
    assert device.run(*put(device, [*many, Finish()])).cycle_count > 200_000  # more than a second


def test_ctrl_c_leaves_an_idle_machine():
    board = rtl_board(timing=MemoryTiming(read_latency=100_000))
    device = opened(board)
    at = put(device, [Finish()])

    def interrupt(seconds):
        device._pause = board.pause
        raise KeyboardInterrupt

    device._pause = interrupt
    with pytest.raises(KeyboardInterrupt):
        device.run(*at)
    assert board.written("CONTROL")[-1] == CONTROL_RESET
    device.run(*at)


class RegistersWithoutMachine:
    """Registers without a machine behind them: a launch sets STATUS to done at once."""

    def __init__(self, **values):
        self.values = {register(name).offset: value for name, value in values.items()}

    def read(self, offset):
        return self.values.get(offset, 0)

    def write(self, offset, value):
        assert 0 <= value < 1 << 32
        status = register("STATUS").offset
        if offset == status:
            self.values[status] = self.values.get(status, 0) & ~value
        elif offset == register("CONTROL").offset:
            self.values[status] = STATUS_DONE if value & CONTROL_LAUNCH else 0
        else:
            self.values[offset] = value

    def close(self):
        pass


def test_addresses_of_more_than_32_bits_take_two_registers():
    base = 0x12_3450_0000
    config = {"ID": 0x5654_4131, "VERSION": 0x0001_0000, "CONFIG0": 0x28_620533, "CAPS": 31}
    registers = RegistersWithoutMachine(
        **config, CONFIG1=0x0A0A0808, CYCLES=5, CYCLES_HI=2, GEMM_COUNTER_HI=1
    )
    device = MappedDevice(TINY, registers, PortMemory(CachedDram(NBYTES), base))
    device.alloc(5000)
    addr, count = put(device, [Finish()] * 3)
    result = device.run(addr, count)
    assert registers.read(register("INSN_ADDR").offset) == 0x3450_2000
    assert registers.read(register("INSN_ADDR_HI").offset) == 0x12
    assert registers.read(register("INSN_COUNT").offset) == 3
    assert result.cycle_count == (2 << 32) + 5
    assert result.counters.gemm_counter == 1 << 32


# ---- who is there -------------------------------------------------------------------------------


class Says(RtlRegisters):
    """Registers of which some read something else."""

    def __init__(self, board, **values):
        super().__init__(board)
        self.values = {register(name).offset: value for name, value in values.items()}

    def read(self, offset):
        return self.values.get(offset, super().read(offset))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ID": 0xFFFFFFFF}, "ID reads 0xffffffff, must be 0x56544131; the FPGA holds another"),
        (
            {"VERSION": 0x00020000},
            "register map has version 2.0; this package needs 1.0 or a later",
        ),
        (
            {"CAPS": 0},
            "CAPS reads 0x00000000: the machine lacks GEMM_START, REQUANTISE, PAD_VALUE, "
            "ALU_START, STORE_ACC of .* EXTENSION 1",
        ),
        ({"CAPS": 1 << 31}, "CAPS reads 0x80000000: the machine has another .* CAPS is 0x0000001f"),
        (
            {"CONFIG0": 0x20_640533, "CONFIG1": 0x11120F0F},
            "the machine is 1x16_i8w8a32_15_15_18_17, the configuration asks for "
            r"1x4_i8w8a32_8_8_10_10 \(they differ in: LOG_BLOCK 4 and 2, LOG_UOP_BUFF_SIZE 15 and 8"
            ", LOG_INP_BUFF_SIZE 15 and 8, LOG_WGT_BUFF_SIZE 18 and 10, LOG_ACC_BUFF_SIZE 17 and 1",
        ),
        ({"CONFIG0": 0}, "CONFIG registers hold what cannot be: .*LOG_INP_WIDTH is 0"),
    ],
)
def test_another_machine_is_refused_and_nothing_is_written(board, values, message):
    with pytest.raises(DeviceError, match=message):
        MappedDevice(TINY, Says(board, **values), PortMemory(board.dram, BASE))
    assert not any(value is not None for _, value in board.accesses)


def test_a_later_minor_version_and_another_bus_are_the_same_machine(board):
    registers = Says(board, VERSION=0x0001_0005, CONFIG0=0x28_720533)
    MappedDevice(TINY, registers, PortMemory(board.dram, BASE))


def test_memory_beyond_the_machines_addresses_is_refused(board):
    with pytest.raises(DeviceError, match="ends at 0x100080000; the machine's addresses have 32"):
        MappedDevice(TINY, RtlRegisters(board), PortMemory(board.dram, 0xFFF8_0000))


def test_opening_resets_what_somebody_left():
    board = rtl_board(timing=MemoryTiming(read_latency=50_000))
    addr = register("INSN_COUNT").offset
    board.write(addr, 1)
    board.write(register("INSN_ADDR").offset, BASE)
    board.write(register("CONTROL").offset, CONTROL_LAUNCH)
    device = opened(board)
    assert device.run(*put(device, [Finish()])).cycle_count


# ---- misuse -------------------------------------------------------------------------------------


def test_misuse_is_refused(board, device):
    addr = device.alloc(64)
    for call in (
        lambda: device.read(addr, 65),
        lambda: device.write(addr + 60, bytes(5)),
        lambda: device.read(BASE, 1 << 30),
        lambda: device.run(addr, 5),
    ):
        with pytest.raises(DeviceError, match="not in one allocated buffer"):
            call()
    with pytest.raises(DeviceError, match="must be a multiple of 16"):
        device.run(addr + 8, 1)
    with pytest.raises(DeviceError, match="no device memory for"):
        device.alloc(NBYTES + 1)
    device.free(addr)
    with pytest.raises(DeviceError, match="nothing is allocated"):
        device.free(addr)
    assert device.read(device.alloc(1), 0) == b""


def test_a_closed_device_says_so(board, device):
    addr = device.alloc(64)
    device.close()
    device.close()
    for call in (
        lambda: device.alloc(1),
        lambda: device.read(addr, 1),
        lambda: device.write(addr, b"x"),
        lambda: device.run(addr, 1),
    ):
        with pytest.raises(DeviceError, match="the device fake is closed"):
            call()
    device.free(addr)  # all memory went with it
