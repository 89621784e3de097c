"""What the processing system of a Zynq must be told for the accelerator: its clock, the widths of
its ports. The boot loader's settings are those of another design.

Registers: UG585, appendix B (Zynq-7000); UG1087 (Zynq UltraScale+).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vta.errors import DeviceError
from vta.runtime.drivers.fpga_manager import KernelFpgaManager
from vta.runtime.drivers.linux import DEV_MEM

if TYPE_CHECKING:
    from vta.bitstream import Bitstream
    from vta.runtime.drivers.linux import Linux

__all__ = ["ULTRASCALE", "ZYNQ7", "ProcessingSystem", "ZynqFpga"]

_PAGE = 4096
_LARGEST_DIVISOR = 63
_SLOWEST_SHARE = 0.9
"""A clock below this share of what was asked for is refused: something else is wrong then."""


@dataclass(frozen=True)
class Field:
    """Bits ``low .. low + bits - 1`` of the register at a physical address."""

    address: int
    low: int
    bits: int

    @property
    def mask(self) -> int:
        return (1 << self.bits) - 1 << self.low


@dataclass(frozen=True)
class ProcessingSystem:
    """What is needed of one family's processing system.

    Attributes
    ----------
    reference_hz : int
        Its oscillator, on the boards that are supported.
    unlock : tuple of int or None
        Address and value that let the registers be written.
    source, divisor0, divisor1 : Field
        Of the PL clock 0, the accelerator's.
    plls : dict of int to Field
        For each value of ``source`` the feedback divider of the PLL.
    pll_halved : Field or None
        On the PLLs' registers, whether what they give is halved.
    settings : tuple of (Field, int)
        Further fields, and what they must hold.
    pulse : Field or None
        The reset of the FPGA's design, active low, given a pulse after configuring.
    """

    reference_hz: int
    unlock: tuple[int, int] | None
    source: Field
    divisor0: Field
    divisor1: Field
    plls: dict[int, Field]
    pll_halved: Field | None
    settings: tuple[tuple[Field, int], ...]
    pulse: Field | None


_IO_PLL, _ARM_PLL, _DDR_PLL = (Field(0xF800_0100 + at, 12, 7) for at in (0x08, 0x00, 0x04))

ZYNQ7 = ProcessingSystem(
    reference_hz=50_000_000,
    unlock=(0xF800_0008, 0xDF0D),
    source=Field(0xF800_0170, 4, 2),
    divisor0=Field(0xF800_0170, 8, 6),
    divisor1=Field(0xF800_0170, 20, 6),
    plls={0: _IO_PLL, 1: _IO_PLL, 2: _ARM_PLL, 3: _DDR_PLL},
    pll_halved=None,
    settings=(
        (Field(0xF800_8000, 0, 1), 0),  # S_AXI_HP0 reads 64 bits
        (Field(0xF800_8014, 0, 1), 0),  # and writes 64 bits
    ),
    pulse=None,  # the kernel's driver resets the design while it configures
)
"""PYNQ-Z1 and PYNQ-Z2 have an oscillator of 50 MHz."""

_IOPLL, _RPLL = Field(0xFF5E_0020, 8, 7), Field(0xFF5E_0030, 8, 7)

ULTRASCALE = ProcessingSystem(
    reference_hz=33_333_333,
    unlock=None,
    source=Field(0xFF5E_00C0, 0, 3),
    divisor0=Field(0xFF5E_00C0, 8, 6),
    divisor1=Field(0xFF5E_00C0, 16, 6),
    plls={0: _IOPLL, 2: _RPLL},
    pll_halved=Field(0, 16, 1),
    settings=(
        (Field(0xFF5E_00C0, 24, 1), 1),  # the clock is on
        (Field(0xFD38_0000, 0, 2), 0),  # S_AXI_HP0_FPD reads 128 bits
        (Field(0xFD38_0014, 0, 2), 0),  # and writes 128 bits
        (Field(0xFD61_5000, 8, 2), 2),  # M_AXI_HPM0_FPD has 128 bits
        (Field(0xFF0A_0344, 31, 1), 1),  # PL_RESETN0 is the last of the GPIOs: an output,
        (Field(0xFF0A_0348, 31, 1), 1),  # and enabled
    ),
    pulse=Field(0xFF0A_0054, 31, 1),
)


class ZynqFpga(KernelFpgaManager):
    """A Zynq's FPGA with the clock of its design.

    Parameters
    ----------
    linux, boards
        As for :class:`~.fpga_manager.KernelFpgaManager`.
    system : ProcessingSystem
        Of the family.
    """

    def __init__(self, linux: Linux, boards: tuple[str, ...], system: ProcessingSystem) -> None:
        super().__init__(linux, boards)
        self._system = system

    def configure(self, bitstream: Bitstream) -> None:
        """Set clock and ports, then load the design: what changes while the clock does is the old
        one.

        Raises
        ------
        DeviceError
            As for the kernel's manager; also if no clock near the design's can be made.
        """
        system = self._system
        if system.unlock is not None:
            address, value = system.unlock
            self._write(address, value)
        self._set_clock(bitstream.clock_hz)
        for field, value in system.settings:
            self._put(field, value)
        super().configure(bitstream)
        if system.pulse is not None:
            for level in (1, 0, 1):
                self._put(system.pulse, level)

    def _set_clock(self, wanted_hz: int) -> None:
        """The fastest clock that is not above ``wanted_hz``, from the PLL that feeds it now."""
        system = self._system
        source = self._get(system.source)
        if source not in system.plls:
            raise DeviceError(
                f"the FPGA's clock comes from source {source}; must be one of "
                f"{', '.join(map(str, system.plls))}"
            )
        feedback = system.plls[source]
        pll_hz = system.reference_hz * self._get(feedback)
        if system.pll_halved is not None:
            halved = Field(feedback.address, system.pll_halved.low, system.pll_halved.bits)
            pll_hz >>= self._get(halved)
        divisor0, divisor1 = _divisors(pll_hz, wanted_hz)
        self._put(system.divisor0, divisor0)
        self._put(system.divisor1, divisor1)

    def _get(self, field: Field) -> int:
        return (self._read(field.address) & field.mask) >> field.low

    def _put(self, field: Field, value: int) -> None:
        word = self._read(field.address)
        self._write(field.address, word & ~field.mask | value << field.low)

    def _read(self, address: int) -> int:
        page = self._linux.map_registers(DEV_MEM, address - address % _PAGE, _PAGE)
        try:
            return page.read(address % _PAGE)
        finally:
            page.close()

    def _write(self, address: int, value: int) -> None:
        page = self._linux.map_registers(DEV_MEM, address - address % _PAGE, _PAGE)
        try:
            page.write(address % _PAGE, value)
        finally:
            page.close()


def _divisors(pll_hz: int, wanted_hz: int) -> tuple[int, int]:
    """Two dividers of a PLL's clock, for the fastest that is not above ``wanted_hz``.

    Raises
    ------
    DeviceError
        If that is far below.
    """
    divisors = range(1, _LARGEST_DIVISOR + 1)
    slower = [
        (pll_hz / (one * two), one, two)
        for one in divisors
        for two in divisors
        if pll_hz <= wanted_hz * 1.0001 * one * two  # the oscillator's tolerance
    ]
    best_hz, one, two = max(slower, default=(0.0, 0, 0))
    if best_hz < _SLOWEST_SHARE * wanted_hz:
        raise DeviceError(
            f"no clock for the design: it was made for {wanted_hz} Hz, the nearest below that the "
            f"PLL of {pll_hz} Hz gives is {best_hz:.0f} Hz"
        )
    return one, two
