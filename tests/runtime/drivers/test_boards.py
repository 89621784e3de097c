"""The drivers of boards on their fakes: every step a kernel's, every run on the real RTL."""

import numpy as np
import pytest

import vta
from tests.support.fake_boards import (
    NBYTES,
    PHYSICAL,
    XILINX_DATA,
    FakeDe10Nano,
    FakePynq,
    de10_bitstream,
    pynq_bitstream,
)
from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from tests.support.workloads import matmul, schedule_matmul
from vta.compiler.target import Target
from vta.environment import Environment
from vta.errors import BitstreamError, ConfigError, DeviceError
from vta.runtime import array, empty
from vta.runtime.device import Programmable
from vta.runtime.drivers.boards import LINUX_BOARDS, open_board

PYNQ = TINY.replace(target="pynq")
DE10 = TINY.replace(target="de10nano")
BOARDS = {"pynq": (FakePynq, PYNQ, pynq_bitstream), "de10": (FakeDe10Nano, DE10, de10_bitstream)}


@pytest.fixture(params=BOARDS)
def kind(request):
    return BOARDS[request.param]


@pytest.fixture
def board(kind, tmp_path):
    return kind[0](tmp_path)


@pytest.fixture
def pynq(tmp_path):
    return FakePynq(tmp_path)


@pytest.fixture
def de10(tmp_path):
    return FakeDe10Nano(tmp_path)


def gives_the_vector_sum(device):
    arrays, expected = vadd_arrays(device)
    vadd_module()(*arrays)
    np.testing.assert_array_equal(arrays[2].numpy(), expected)


# ---- from the bitstream to the result -----------------------------------------------------------


def test_configure_and_run(kind, board, tmp_path):
    _, cfg, bitstream = kind
    (tmp_path / "x.vtabit").write_bytes(bitstream().to_bytes())
    device = open_board(cfg, **board.options(bitstream=tmp_path / "x.vtabit"))
    assert isinstance(device, Programmable)
    assert device.name == cfg.target and device.clock_hz == bitstream().clock_hz
    gives_the_vector_sum(device)
    gives_the_vector_sum(device)


def test_a_matrix_product(kind, board):
    _, cfg, bitstream = kind
    device = open_board(cfg, **board.options(bitstream=bitstream()))
    ops = matmul(2, 4, 4, 1, 4)
    with Environment(TINY):
        module = vta.build(schedule_matmul(ops, Target.from_config(TINY), 2, 2), ops.args)
    rng = np.random.default_rng(4)
    data = rng.integers(-128, 128, (2, 4, 1, 4), np.int8)
    weight = rng.integers(-128, 128, (4, 4, 4, 4), np.int8)
    result = empty((2, 4, 1, 4), "int8", device)
    module(array(data, device), array(weight, device), result)
    product = np.einsum("onbi,mnci->ombc", data.astype(np.int32), weight.astype(np.int32))
    np.testing.assert_array_equal(result.numpy(), np.clip(product >> 8, 0, 127).astype(np.int8))


def test_a_machine_that_is_there_is_used_as_it_is(kind, board):
    _, cfg, bitstream = kind
    open_board(cfg, **board.options(bitstream=bitstream())).close()
    device = open_board(cfg, **board.options())
    gives_the_vector_sum(device)


def test_an_empty_fpga_waits_for_its_bitstream(kind, board):
    _, cfg, bitstream = kind
    device = open_board(cfg, **board.options())
    addr = device.alloc(16)
    with pytest.raises(
        DeviceError, match=r"cannot run: its FPGA is not configured; vta.program_fpg"
    ):
        device.run(addr, 1)
    device.program_fpga(bitstream().to_bytes())
    gives_the_vector_sum(device)


def test_configuring_again_starts_a_new_machine(kind, board):
    _, cfg, bitstream = kind
    device = open_board(cfg, **board.options(bitstream=bitstream()))
    gives_the_vector_sum(device)
    first = board.rtl
    device.program_fpga(bitstream(clock_hz=25_000_000).to_bytes())
    assert board.rtl is not first and device.clock_hz == 25_000_000
    gives_the_vector_sum(device)


# ---- memory -------------------------------------------------------------------------------------


def test_the_accelerators_addresses(pynq, de10, tmp_path):
    assert LINUX_BOARDS["de10nano"].window == 0x8000_0000
    device = open_board(PYNQ, **pynq.options(bitstream=pynq_bitstream()))
    assert device.alloc(1) == PHYSICAL
    assert pynq.rtl.base == PHYSICAL


def test_the_window_of_the_coherent_port(de10):
    """The RTL finds its memory at the physical address + 0x8000_0000 and nowhere else."""
    device = open_board(DE10, **de10.options(bitstream=de10_bitstream()))
    assert device.alloc(1) == 0x9E90_0000
    gives_the_vector_sum(device)


def test_without_the_window_nothing_is_found(de10, monkeypatch):
    """A control of the test above."""
    de10.window = 0  # the accelerator sees memory at its physical address
    device = open_board(DE10, **de10.options(bitstream=de10_bitstream()))
    with pytest.raises(DeviceError, match="access outside the memory at 0x9e90"):
        gives_the_vector_sum(device)


def test_a_port_without_caches_is_flushed_and_invalidated(pynq):
    device = open_board(PYNQ, **pynq.options(bitstream=pynq_bitstream()))
    addr = device.alloc(200)
    pynq.syncs.clear()
    device.write(addr + 64, bytes(64))
    assert pynq.syncs == [("sync_for_device", 64, 64)]
    device.read(addr + 60, 10)
    assert pynq.syncs[1:] == [("sync_for_cpu", 0, 128)]  # whole lines
    pynq.syncs.clear()
    device.write(addr + 70, bytes(80))  # of the first and the last line a part
    edges = [("sync_for_cpu", 64, 64), ("sync_for_cpu", 128, 64)]
    assert pynq.syncs == [*edges, ("sync_for_device", 64, 128)]


def test_long_ranges_are_synchronised_in_parts(pynq, monkeypatch):
    monkeypatch.setattr("vta.runtime.drivers.udmabuf._LARGEST", 128)
    device = open_board(PYNQ, **pynq.options(bitstream=pynq_bitstream()))
    addr = device.alloc(500)
    pynq.syncs.clear()
    device.read(addr + 100, 300)
    assert pynq.syncs == [
        ("sync_for_cpu", at, size) for at, size in ((64, 128), (192, 128), (320, 128))
    ]
    gives_the_vector_sum(device)


def test_a_coherent_port_is_never_invalidated(de10):
    """The accelerator's data may be in the cache only."""
    device = open_board(DE10, **de10.options(bitstream=de10_bitstream()))
    gives_the_vector_sum(device)
    assert {name for name, _, _ in de10.syncs} == {"sync_for_device"}


def test_memory_beyond_the_coherent_window_is_refused(de10):
    de10.linux.put("/sys/class/u-dma-buf/udmabuf0/phys_addr", "0x3ff80000")
    with pytest.raises(
        DeviceError, match=r"ends at the physical address 0x40080000; .* 0x40000000"
    ):
        open_board(DE10, **de10.options())
    de10.linux.put("/sys/class/u-dma-buf/udmabuf0/phys_addr", "0x3ff00000")
    open_board(DE10, **de10.options())  # the buffer was given back


def test_one_process_has_the_device(kind, board):
    _, cfg, bitstream = kind
    device = open_board(cfg, **board.options(bitstream=bitstream()))
    with pytest.raises(DeviceError, match="another process uses /dev/udmabuf0"):
        open_board(cfg, **board.options())
    device.close()
    open_board(cfg, **board.options())


def test_which_buffer_is_taken(pynq):
    linux = pynq.linux
    linux.put("/sys/class/u-dma-buf/other/size", str(NBYTES))
    with pytest.raises(DeviceError, match=r"several buffers in .*: other, udmabuf0; say which"):
        open_board(PYNQ, **pynq.options())
    open_board(PYNQ, **pynq.options(memory="udmabuf0")).close()
    with pytest.raises(DeviceError, match=r"cannot read .*/nothing/phys_addr: No such file"):
        open_board(PYNQ, **pynq.options(memory="nothing"))


# ---- a machine that is no board -----------------------------------------------------------------


def test_off_a_board_the_way_out_is_named(tmp_path):
    from vta.runtime.drivers.linux import Linux

    for cfg in (PYNQ, DE10):
        with pytest.raises(DeviceError, match=r"no /sys/class/u-dma-buf: .* use rpc\.connect"):
            open_board(cfg, linux=Linux(tmp_path))
    with pytest.raises(
        ConfigError, match="TARGET is sim; must be one of pynq, ultra96, zcu104, de"
    ):
        open_board(TINY)


def test_nothing_is_kept_when_opening_fails(kind, board):
    _, cfg, bitstream = kind
    other = cfg.replace(log_inp_buff_size=9)
    for _ in range(2):
        with pytest.raises(BitstreamError, match="the bitstream holds 1x4_i8w8a32_8_8_10_10"):
            open_board(other, **board.options(bitstream=bitstream()))
    assert len(board.windows) == 2 and all(window.closed for window in board.windows)
    open_board(cfg, **board.options())


# ---- bitstreams that are refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"board": "zcu104"}, "for the board zcu104; this is one of"),
        ({"data_format": "ecp5-bit"}, "the bitstream's data is ecp5-bit; must be"),
        ({"cfg": TINY.replace(log_block=1)}, "they differ in: LOG_BLOCK 1 and 2"),
        (
            {"register_map": 0x0002_0000},
            "register map is of major version 2; this package drives 1",
        ),
    ],
)
def test_a_wrong_bitstream_changes_nothing(kind, board, changes, message):
    _, cfg, bitstream = kind
    device = open_board(cfg, **board.options(bitstream=bitstream()))
    before = board.rtl
    with pytest.raises(DeviceError, match=message):
        device.program_fpga(bitstream(**changes).to_bytes())
    with pytest.raises(BitstreamError, match=r"use the \.vtabit file"):
        device.program_fpga(XILINX_DATA)
    assert board.rtl is before
    gives_the_vector_sum(device)


def test_another_machine_than_the_file_says_is_found_out(kind, board):
    """A manifest that is wrong about what is in the FPGA."""
    _, cfg, bitstream = kind
    other = cfg.replace(log_inp_buff_size=9)
    device = open_board(other, **board.options())
    with pytest.raises(
        DeviceError, match="the machine is 1x4_i8w8a32_8_8_10_10, the configuration"
    ):
        device.program_fpga(bitstream(cfg=other).to_bytes())
    addr = device.alloc(16)
    with pytest.raises(DeviceError, match="cannot run: another machine is in its FPGA"):
        device.run(addr, 1)


def test_an_fpga_that_could_not_be_configured_runs_nothing(pynq):
    device = open_board(PYNQ, **pynq.options(bitstream=pynq_bitstream()))
    addr = device.alloc(16)
    pynq.linux.hooks["/sys/class/fpga_manager/fpga0/firmware"] = lambda name: pynq.linux.put(
        "/sys/class/fpga_manager/fpga0/state", "write error"
    )
    with pytest.raises(DeviceError, match="the FPGA is not configured"):
        device.program_fpga(pynq_bitstream().to_bytes())
    with pytest.raises(DeviceError, match="cannot run: configuring its FPGA failed"):
        device.run(addr, 1)


# ---- UIO ----------------------------------------------------------------------------------------


def test_a_uio_device_of_our_name_is_used(pynq):
    linux = pynq.linux
    open_board(PYNQ, **pynq.options(bitstream=pynq_bitstream())).close()
    linux.put("/sys/class/uio/uio0/name", "somebody")
    linux.put("/sys/class/uio/uio1/name", "vta")
    linux.put("/sys/class/uio/uio1/maps/map0/addr", "0x43c00000")
    linux.pages["/dev/uio1", 0] = linux.pages.pop(("/dev/mem", 0x43C0_0000))
    gives_the_vector_sum(open_board(PYNQ, **pynq.options()))


def test_a_uio_device_elsewhere_is_refused(pynq):
    pynq.linux.put("/sys/class/uio/uio1/name", "vta")
    pynq.linux.put("/sys/class/uio/uio1/maps/map0/addr", "0x40000000")
    with pytest.raises(
        DeviceError, match="is at 0x40000000; the registers of pynq are at 0x43c0000"
    ):
        open_board(PYNQ, **pynq.options())
