"""How FPGAs are configured: the kernel's manager of a Zynq with its clock, a Cyclone V's own."""

import struct

import pytest

from tests.support.fake_boards import (
    RBF_DATA,
    XILINX_DATA,
    FakeDe10Nano,
    FakeLinux,
    FakePynq,
    Page,
    de10_bitstream,
    pynq_bitstream,
)
from vta.errors import BitstreamError, DeviceError
from vta.runtime.drivers.cyclonev import CycloneVFpga
from vta.runtime.drivers.fpga_manager import KernelFpgaManager, xilinx_words
from vta.runtime.drivers.linux import DEV_MEM
from vta.runtime.drivers.zynq import ULTRASCALE, ZYNQ7, ZynqFpga

MANAGER = "/sys/class/fpga_manager/fpga0"


@pytest.fixture
def pynq(tmp_path):
    return FakePynq(tmp_path)


@pytest.fixture
def de10(tmp_path):
    return FakeDe10Nano(tmp_path)


# ---- Xilinx' files ------------------------------------------------------------------------------


def dot_bit(body=XILINX_DATA, design=b"vta;Version=2022.2\0"):
    fields = ((b"a", design), (b"b", b"7z020clg400\0"), (b"c", b"2024/01/01\0"), (b"d", b"0:00\0"))
    header = bytes.fromhex("00090ff00ff00ff00ff0000001")
    for letter, text in fields:
        header += letter + struct.pack(">H", len(text)) + text
    return header + b"e" + struct.pack(">I", len(body)) + body


def test_words_are_turned_around_for_the_kernel():
    words = xilinx_words(pynq_bitstream())
    assert len(words) == len(XILINX_DATA)
    assert words[32:40] == bytes.fromhex("665599aa 04030201")


@pytest.mark.parametrize("design", [b"x\0", b"a much longer name than usual;UserID=0XFFFFFFFF\0"])
def test_a_bit_loses_its_header(design):
    bit = pynq_bitstream(data_format="xilinx-bit", data=dot_bit(design=design))
    assert xilinx_words(bit) == xilinx_words(pynq_bitstream())


@pytest.mark.parametrize(
    ("data", "data_format", "message"),
    [
        (bytes(400), "xilinx-bin", "no synchronisation word"),
        (XILINX_DATA[:-1], "xilinx-bin", "it at byte 32 of 287"),
        (b"\xff" + XILINX_DATA + b"\xff" * 3, "xilinx-bin", "it at byte 33 of 292"),
        (xilinx_words(pynq_bitstream()), "xilinx-bin", "must be whole words .* most significant"),
        (XILINX_DATA, "xilinx-bit", "header is none, or cut"),
        (dot_bit()[:-4], "xilinx-bit", "header is none, or cut"),
        (dot_bit()[:40], "xilinx-bit", "header is none, or cut"),
        (dot_bit()[:15], "xilinx-bit", "header is none, or cut"),
    ],
)
def test_what_is_no_configuration_is_refused(pynq, data, data_format, message):
    fpga = KernelFpgaManager(pynq.linux, ("pynq_z1",))
    with pytest.raises(BitstreamError, match=message):
        fpga.require(pynq_bitstream(data_format=data_format, data=data))


# ---- the kernel's manager -----------------------------------------------------------------------


def test_the_firmware_file_is_removed_again(pynq):
    KernelFpgaManager(pynq.linux, ("pynq_z1",)).configure(pynq_bitstream())
    assert pynq.loaded == [xilinx_words(pynq_bitstream())]
    assert pynq.linux.listing("/lib/firmware") == []


def test_a_kernel_without_the_attribute_is_told(pynq):
    pynq.linux.remove(f"{MANAGER}/firmware")
    with pytest.raises(DeviceError, match=r"this kernel cannot configure the FPGA on request"):
        KernelFpgaManager(pynq.linux, ("pynq_z1",)).configure(pynq_bitstream())


def test_a_kernel_that_fails_is_told(pynq):
    pynq.linux.hooks[f"{MANAGER}/firmware"] = lambda name: pynq.linux.put(
        f"{MANAGER}/state", "write error"
    )
    with pytest.raises(DeviceError, match="state is 'write error', must be 'operating'; `dmesg`"):
        KernelFpgaManager(pynq.linux, ("pynq_z1",)).configure(pynq_bitstream())
    assert pynq.linux.listing("/lib/firmware") == []


def test_without_a_manager(tmp_path):
    with pytest.raises(
        DeviceError, match="cannot read /sys/class/fpga_manager/fpga0/state: No suc"
    ):
        KernelFpgaManager(FakeLinux(tmp_path), ()).is_configured()


# ---- the clocks of a Zynq -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "divisor"), [(100_000_000, 10), (50_000_000, 20), (142_857_143, 7), (90_909_090, 11)]
)
def test_the_clock_of_a_zynq_7000(pynq, wanted, divisor):
    """The I/O PLL is at 20 × 50 MHz."""
    ZynqFpga(pynq.linux, ("pynq_z1",), ZYNQ7).configure(pynq_bitstream(clock_hz=wanted))
    word = pynq.slcr.words[0x170]
    assert (word >> 8 & 63) * (word >> 20 & 63) == divisor
    assert word & ~(63 << 8 | 63 << 20) == 0  # nothing else has changed
    assert pynq.slcr.log[0] == (0x008, 0xDF0D)  # unlocked first


def test_the_clock_is_not_faster_than_the_design(pynq):
    ZynqFpga(pynq.linux, ("pynq_z1",), ZYNQ7).configure(pynq_bitstream(clock_hz=99_000_000))
    word = pynq.slcr.words[0x170]
    assert (word >> 8 & 63) * (word >> 20 & 63) == 11


def test_a_clock_that_cannot_be_is_refused_before_anything_is_loaded(pynq):
    pynq.slcr.words[0x108] = 0
    with pytest.raises(DeviceError, match=r"it was made for 100000000 Hz, .* gives is 0 Hz"):
        ZynqFpga(pynq.linux, ("pynq_z1",), ZYNQ7).configure(pynq_bitstream())
    assert pynq.loaded == []


def test_the_ports_of_a_zynq_7000_have_64_bits(pynq):
    ZynqFpga(pynq.linux, ("pynq_z1",), ZYNQ7).configure(pynq_bitstream())
    assert pynq.afi.words == {0x0: 0, 0x14: 0xF00}


def test_an_ultrascale_gets_clock_widths_and_a_reset_pulse(pynq):
    """The I/O PLL is at 33.3 MHz × 90 / 2, as AMD's boot loaders set it."""
    pages = {
        0xFF5E_0000: Page(at_20=0x0001_5A00, at_C0=0x0001_1E00),
        0xFD38_0000: Page(at_0=0x3B2, at_14=0x3B1),
        0xFD61_5000: Page(at_0=0x000),
        0xFF0A_0000: Page(),
    }
    pynq.linux.pages |= {(DEV_MEM, at): page for at, page in pages.items()}
    ZynqFpga(pynq.linux, ("ultra96",), ULTRASCALE).configure(pynq_bitstream(board="ultra96"))
    crl, hp0, slcr, gpio = pages.values()
    word = crl.words[0xC0]
    assert (word >> 8 & 63) * (word >> 16 & 63) == 15 and word >> 24 & 1  # 1500 MHz / 15
    assert hp0.words == {0x0: 0x3B0, 0x14: 0x3B0}
    assert slcr.words[0] == 0x200
    assert gpio.words[0x344] == gpio.words[0x348] == 1 << 31
    assert [value >> 31 for at, value in gpio.log if at == 0x54] == [1, 0, 1]


def test_a_clock_from_a_pll_that_is_not_known_is_refused(pynq):
    pynq.linux.pages[DEV_MEM, 0xFF5E_0000] = Page(at_C0=0x3)
    with pytest.raises(DeviceError, match="comes from source 3; must be one of 0, 2"):
        ZynqFpga(pynq.linux, ("ultra96",), ULTRASCALE).configure(pynq_bitstream(board="ultra96"))


# ---- a Cyclone V --------------------------------------------------------------------------------


def cyclone(de10, **options):
    now = iter(range(1000))
    options = {"clock": lambda: next(now), "pause": lambda seconds: None} | options
    return CycloneVFpga(de10.linux, ("de10_nano",), **options)


def test_all_words_reach_the_fpga_and_the_bridges_open(de10):
    fpga = cyclone(de10)
    assert not fpga.is_configured()
    fpga.configure(de10_bitstream())
    assert bytes(de10.manager.got[: len(RBF_DATA)]) == RBF_DATA
    assert fpga.is_configured()
    assert de10.resets.read(0x1C) == 0 and de10.interconnect.read(0) == 0x19
    assert de10.manager.dclk_done == 0
    assert de10.manager.control & 0x101 == 0  # the pins have the FPGA again


def test_the_mode_follows_the_switches(tmp_path):
    de10 = FakeDe10Nano(tmp_path, msel=0)
    cyclone(de10).configure(de10_bitstream())
    assert cyclone(de10).is_configured()


@pytest.mark.parametrize("msel", [3, 0b10010])
def test_switches_that_select_no_mode(tmp_path, msel):
    de10 = FakeDe10Nano(tmp_path, msel=msel)
    with pytest.raises(DeviceError, match=f"MSEL are {msel:05b}; the processor .* with 01010"):
        cyclone(de10).configure(de10_bitstream())


def test_a_configuration_with_an_error(de10):
    data = RBF_DATA[:2000] + b"\x00" + RBF_DATA[2001:]
    with pytest.raises(DeviceError, match=r"found an error in the configuration \(nSTATUS is low"):
        cyclone(de10).configure(de10_bitstream(data=data))
    assert de10.resets.read(0x1C) == 0b111  # nobody reaches an empty FPGA
    assert de10.manager.control & 0x101 == 0
    assert not cyclone(de10).is_configured()


def test_a_configuration_that_is_too_short(de10):
    with pytest.raises(DeviceError, match="did not take the configuration after 1 s; it is empty"):
        cyclone(de10).configure(de10_bitstream(data=RBF_DATA[:2048]))
    with pytest.raises(BitstreamError, match=r"an \.rbf of 100 bytes is cut"):
        cyclone(de10).require(de10_bitstream(data=bytes(100)))


def test_closed_bridges_are_no_configured_fpga(de10):
    cyclone(de10).configure(de10_bitstream())
    de10.resets.words[0x1C] = 0b010
    assert not cyclone(de10).is_configured()
