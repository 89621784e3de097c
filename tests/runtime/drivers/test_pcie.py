"""The driver of a PCIe card on a fake kernel: every step VFIO's, every run on the real RTL."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vta
from tests.support.fake_pcie import CARD, GROUP, IDS, FakeComputer
from tests.support.serving import serving
from tests.support.small_vadd import COUNTERS, TINY, vadd_arrays, vadd_module
from tests.support.workloads import matmul, schedule_matmul
from vta import pcie_ids, rpc
from vta.compiler.target import Target
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import ConfigError, DeviceError, TimeoutError
from vta.memmap import register
from vta.runtime import array, empty
from vta.runtime.device import Device, Interruptible, Lendable, Programmable
from vta.runtime.drivers.linux import Linux
from vta.runtime.drivers.pcie import BASE, LIMIT, MEMORY_BYTES, open_pcie
from vta.runtime.targets import open_device
from vta.testing import simulator

PCIE = TINY.replace(target="pcie")
TUTORIALS = Path(__file__).parents[3] / "tutorials"
OTHER = "0000:05:00.0"
NBYTES = 1 << 20


@pytest.fixture
def computer(tmp_path):
    return FakeComputer(tmp_path / "root")


def opened(computer, cfg=PCIE, **options):
    return open_pcie(cfg, **computer.options(**{"memory_bytes": NBYTES} | options))


def refused(computer, match, **options):
    """The error, after which nothing is open and no memory is kept."""
    with pytest.raises(DeviceError, match=match):
        opened(computer, **options)
    kernel = computer.kernel
    assert not kernel.files and not kernel.maps and not kernel.memories
    assert not kernel.command & 0b100


def gives_the_vector_sum(device):
    arrays, expected = vadd_arrays(device)
    vadd_module()(*arrays)
    np.testing.assert_array_equal(arrays[2].numpy(), expected)


# ---- runs ---------------------------------------------------------------------------------------


def test_the_vector_sum(computer):
    device = opened(computer)
    assert isinstance(device, Device) and isinstance(device, Lendable)
    assert isinstance(device, Interruptible) and not isinstance(device, Programmable)
    assert repr(device) == "pcie(1x4_i8w8a32_8_8_10_10)"
    gives_the_vector_sum(device)
    gives_the_vector_sum(device)


def test_a_matrix_product(computer):
    device = opened(computer)
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


def test_the_steps_from_opening_to_closing(computer):
    """Memory before the first request of the card; no requests before the memory goes."""
    kernel = computer.kernel
    device = opened(computer)
    gives_the_vector_sum(device)
    device.close()
    assert kernel.calls == [
        "open container", "open group", "set container", "set iommu", "open device",
        "map 0x10000000", "command 0x0006",
        "command 0x0002", "unmap 0x10000000", "close device", "close group", "close container",
    ]  # fmt: skip
    assert not kernel.files and not kernel.memories
    gives_the_vector_sum(opened(computer))


def test_bits_of_the_command_register_that_others_have_set_stay(computer):
    computer.kernel.command = 0x0140
    opened(computer).close()
    assert [call for call in computer.kernel.calls if call.startswith("command")] == [
        "command 0x0146", "command 0x0142",
    ]  # fmt: skip


def test_the_addresses_are_those_of_the_bus(computer):
    assert opened(computer).alloc(1) == BASE == 0x1000_0000
    assert computer.kernel.rtl.base == BASE


def test_the_card_reaches_this_memory_and_no_other(computer):
    """The RTL's request to the page behind it is refused by the IOMMU."""
    device = opened(computer)
    gives_the_vector_sum(device)
    computer.kernel.maps.clear()
    computer.kernel._show()
    with pytest.raises(DeviceError, match="access outside the memory at 0x100"):
        gives_the_vector_sum(device)


@pytest.mark.parametrize("base", [0x10000, LIMIT - NBYTES])
def test_other_addresses(computer, base):
    device = opened(computer, base=base)
    assert device.alloc(1) == base
    gives_the_vector_sum(device)


def test_a_run_that_does_not_end(computer):
    device = opened(computer, timeout=1.0)
    arrays, _ = vadd_arrays(device)
    computer.kernel.clock_hz = 1
    computer.kernel.rtl.clock_hz = 1
    with pytest.raises(TimeoutError, match="the run did not end in time"):
        vadd_module()(*arrays)
    computer.kernel.rtl.clock_hz = 200_000
    gives_the_vector_sum(device)


# ---- sessions -----------------------------------------------------------------------------------


def run_uploaded(remote, tmp_path):
    vadd_module().save(tmp_path / "vadd.vta")
    remote.upload(tmp_path / "vadd.vta")
    module = remote.load_module("vadd.vta")
    arrays, expected = vadd_arrays(remote.ext_dev(0))
    module(*arrays)
    np.testing.assert_array_equal(arrays[2].numpy(), expected)


def test_a_session_on_the_computer_itself(computer, tmp_path):
    with Environment(PCIE):
        remote = rpc.LocalSession(**computer.options(card=CARD))
        vta.reconfig_runtime(remote)
        simulator.clear_stats()
        run_uploaded(remote, tmp_path)
        assert {key: simulator.stats()[key] for key in COUNTERS} == COUNTERS
        with pytest.raises(DeviceError, match="the FPGA of pcie is configured over JTAG"):
            remote.program_fpga(tmp_path / "x.vtabit")
        remote.close()
    assert not computer.kernel.files


def test_through_the_server(computer, tmp_path):
    device = open_device(PCIE, **computer.options(memory_bytes=1 << 26))
    with serving(tmp_path / "state", device) as server:
        for _ in range(2):
            with server.connect() as remote:
                run_uploaded(remote, tmp_path)


def test_the_tutorials(tmp_path):
    """As people run them, on the original's configuration."""
    cfg = VTAConfig.preset("default").replace(target="pcie")
    computer = FakeComputer(tmp_path / "root", preset="default", clock_hz=125_000_000)
    device = open_pcie(cfg, **computer.options())
    assert device.free_bytes == MEMORY_BYTES == 1 << 26
    with serving(tmp_path / "state", device) as server:
        result = subprocess.run(
            [sys.executable, TUTORIALS / "run_all.py", "--remote", f"127.0.0.1:{server.port}"],
            env={**os.environ, "VTA_RPC_TOKEN": server.token.text, "VTA_TARGET": "pcie"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("on pcie: the result equals NumPy's.") == 3


# ---- which card ---------------------------------------------------------------------------------


def test_the_numbers_of_a_card():
    """As the gateware's configuration space has them, and `lspci` prints them."""
    ids = (pcie_ids.VENDOR_ID, pcie_ids.DEVICE_ID)
    subsystem = (pcie_ids.SUBSYSTEM_VENDOR_ID, pcie_ids.SUBSYSTEM_DEVICE_ID)
    assert ids == (0x10EE, 0x7A1A) and subsystem == (0x10EE, 0x5654)
    assert pcie_ids.CLASS_CODE >> 16 == 0x12


@pytest.mark.parametrize("card", [CARD, "04:00.0", None])
def test_a_card_is_found(computer, card):
    opened(computer, card=card).close()


@pytest.mark.parametrize("card", ["4:0.0", "0000:04:00.8", "0000:04:00", "../x", "", 4, b"x"])
def test_what_is_no_address(computer, card):
    refused(
        computer, r"the card is .*; must be its address on the bus, as 0000:04:00\.0", card=card
    )


def test_no_card_and_no_bus(computer, tmp_path):
    computer.put(f"/sys/bus/pci/devices/{CARD}/subsystem_device", "0x0007")
    refused(
        computer,
        r"none of its 2 devices is 10ee:7a1a, subsystem 10ee:5654\. .*`echo 1 \| sudo tee "
        r"/sys/bus/pci/rescan`",
    )
    with pytest.raises(DeviceError, match=r"there is no /sys/bus/pci/devices, .*use rpc\.connect"):
        open_pcie(PCIE, linux=Linux(tmp_path / "nothing"))


def test_several_cards(computer):
    computer.add(OTHER, group="18")
    refused(computer, rf"several cards: {CARD}, {OTHER}; say which one \(card=, --card\)")
    opened(computer, card=CARD).close()


def test_cards_that_are_none(computer):
    refused(computer, rf"nothing is at {OTHER} .*; cards are at {CARD}", card=OTHER)
    refused(
        computer, "0000:00:00.0 is 8086:7a1a, subsystem 10ee:5654; must be 10ee:7a1a, ",
        card="00:00.0",
    )  # fmt: skip


def test_another_target():
    with pytest.raises(ConfigError, match="TARGET is sim; must be pcie"):
        open_pcie(TINY)


# ---- binding ------------------------------------------------------------------------------------


def test_no_iommu(computer):
    computer.set_group(CARD, None)
    refused(computer, "is in no IOMMU group: .*Intel VT-d, .*intel_iommu=on")


def test_a_card_of_another_driver(computer):
    folder = f"/sys/bus/pci/devices/{CARD}"
    computer.bind(CARD, "xdma")
    refused(
        computer,
        rf"bound to xdma; must be vfio-pci: .*`sudo driverctl set-override {CARD} vfio-pci`, .*"
        rf"`echo {CARD} \| sudo tee {folder}/driver/unbind`, `echo vfio-pci \| sudo tee "
        rf"{folder}/driver_override`, `echo {CARD} \| sudo tee /sys/bus/pci/drivers_probe`",
    )
    computer.bind(CARD, None)
    with pytest.raises(DeviceError, match="bound to no driver; must be vfio-pci") as error:
        opened(computer)
    assert "unbind" not in str(error.value)


def test_the_unsafe_mode_is_refused(computer):
    computer.put(f"/dev/vfio/noiommu-{GROUP}", "")
    refused(computer, "bound without an IOMMU .* reach all memory of this computer")


def test_a_group_with_other_devices(computer):
    for address, driver in (("0000:04:00.1", "snd_hda_intel"), ("0000:03:00.0", "pcieport")):
        computer.add(address, {**IDS, "vendor": 0x8086})
        computer.bind(address, driver)
    computer.kernel.viable = False
    refused(computer, r"it holds 0000:04:00\.1 \(snd_hda_intel\)\. Bind them")


def test_one_process_has_the_card(computer):
    device = opened(computer)
    with pytest.raises(DeviceError, match="another process, or a session of this one, uses the ca"):
        opened(computer)
    gives_the_vector_sum(device)
    device.close()
    opened(computer).close()


# ---- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"memory_bytes": 0}, "memory_bytes is 0; must be a multiple of 65536 above 0 and below"),
        ({"memory_bytes": -65536}, "memory_bytes is -65536; must be a mult"),
        ({"memory_bytes": 4096}, "memory_bytes is 4096; must be a multiple of 65536"),
        (
            {"memory_bytes": 1 << 40},
            "memory_bytes is 1099511627776; must be a mult.* below 42",
        ),
        ({"memory_bytes": 65536.0}, r"memory_bytes is 65536\.0; must be an integer"),
        ({"memory_bytes": True}, "memory_bytes is True; must be an integer"),
        ({"base": 0}, "base is 0; must be a multiple"),
        ({"base": LIMIT}, "base is 4276092928; must be a multiple"),
        (
            {"memory_bytes": LIMIT - BASE + 65536},
            "from the address 0x10000000 on, at most 4007657472 bytes are free: .*0xfee00000 are i",
        ),
        ({"base": LIMIT - NBYTES + 65536}, "from the address 0xfed10000 on, at most 983040"),
    ],
)
def test_memory_that_cannot_be(computer, options, message):
    refused(computer, message, **options)


def test_more_memory_than_may_be_locked(computer):
    computer.kernel.locked = 1 << 19
    refused(computer, r"may lock 524288 bytes \(`ulimit -l` prints it in KiB\); raise the limit")
    opened(computer, memory_bytes=1 << 19).close()


def test_addresses_that_the_host_keeps(computer):
    computer.kernel.reserved.append((0x1008_0000, 0x100F_FFFF))
    computer.put(
        f"/sys/kernel/iommu_groups/{GROUP}/reserved_regions",
        "0x0000000010080000 0x00000000100fffff direct",
    )
    refused(computer, r"reserved are 0x0000000010080000 to 0x00000000100fffff \(direct\)\. Choose")
    computer.linux.path(f"/sys/kernel/iommu_groups/{GROUP}/reserved_regions").unlink()
    refused(computer, "reserved are ranges that the kernel does not tell")
    opened(computer, base=0x2000_0000).close()


# ---- cards that do not answer -------------------------------------------------------------------


def test_a_card_whose_link_is_down(computer):
    computer.kernel.dead = True
    refused(
        computer,
        rf"{CARD} does not answer: its configuration space reads 0xffff\. .*`echo 1 \| sudo tee "
        rf"/sys/bus/pci/devices/{CARD}/remove`, `echo 1 \| sudo tee /sys/bus/pci/rescan`",
    )


def test_a_card_that_does_not_take_its_command(computer):
    computer.kernel.config_writable = False
    refused(computer, "its command register reads 0x0000 after 0x0006 was set")


def test_registers_that_read_as_ones(computer, monkeypatch):
    """The configuration space answers, as that of a hard block beside an idle design."""
    machine = computer.kernel._machine
    monkeypatch.setattr(computer.kernel, "_machine", lambda: type("", (), {
        "read": lambda self, at: 0xFFFF_FFFF, "write": lambda *_: None, "pause": lambda *_: None,
    })())  # fmt: skip
    refused(computer, "its register 0x000 reads 0xffffffff")
    monkeypatch.setattr(computer.kernel, "_machine", machine)
    opened(computer).close()


def test_a_register_may_hold_ones(computer):
    """Only if ID reads as ones too, the card has gone."""
    device = opened(computer)
    offset = register("INSN_ADDR").offset
    device._registers.write(offset, 0xFFFF_FFFF)
    assert device._registers.read(offset) == 0xFFFF_FFFF


def test_a_card_that_goes_during_a_run(computer, monkeypatch):
    device = opened(computer)
    arrays, _ = vadd_arrays(device)
    kernel = computer.kernel
    pause = kernel.pause

    def go(seconds):
        pause(seconds)
        kernel.dead = True

    device._pause = go
    with pytest.raises(DeviceError, match="its register 0x018 reads 0xffffffff"):
        vadd_module()(*arrays)
    with pytest.raises(DeviceError, match="does not answer"):
        vadd_module()(*arrays)
    device.close()
    assert not kernel.files and not kernel.maps and not kernel.memories


@pytest.mark.parametrize(("nbytes", "flags"), [(0, 0), (2048, 0b111), (4096, 0b001), (4096, 0b010)])
def test_a_bar_that_is_too_small_or_cannot_be_used(computer, nbytes, flags):
    computer.kernel.bar_bytes, computer.kernel.bar_flags = nbytes, flags
    refused(
        computer,
        rf"region 0 of {CARD} has {nbytes} bytes \(flags 0x{flags:x}\); must have at least 4096",
    )


def test_another_machine(computer):
    with pytest.raises(DeviceError, match="they differ in: LOG_INP_BUFF_SIZE 8 and 9"):
        opened(computer, PCIE.replace(log_inp_buff_size=9))
    assert not computer.kernel.files
