"""The core's clock of a PCIe card: an MMCM of UltraScale+ behind the clock of the hard block.

Limits: DS922, Kintex UltraScale+, MMCM switching characteristics; DS893 and UG572 for the dividers.
"""

from dataclasses import dataclass
from fractions import Fraction

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In

from vta.errors import ConfigError

__all__ = ["MmcmClock", "MmcmSettings"]

VCO_HZ = 1_000_000_000
"""In the middle of 800 to 1,600 MHz, which every speed grade has."""
STEPS = 8
"""The multiplier and the first divider are multiples of an eighth."""
DIVIDERS = range(2 * STEPS, 128 * STEPS + 1)
"""Of the first output, in eighths."""


@dataclass(frozen=True)
class MmcmSettings:
    """``out_hz = in_hz * multiplier / divider``; the VCO runs at ``in_hz * multiplier``."""

    in_hz: int
    out_hz: int
    multiplier: Fraction
    divider: Fraction

    @classmethod
    def find(cls, in_hz: int, out_hz: int) -> "MmcmSettings":
        """The settings that give exactly ``out_hz`` from ``in_hz``.

        Raises
        ------
        ConfigError
            If there are none.
        """
        divider = Fraction(VCO_HZ * STEPS, out_hz)
        if divider.denominator != 1 or divider.numerator not in DIVIDERS:
            near = VCO_HZ * STEPS / min(max(-(-VCO_HZ * STEPS // out_hz), 16), 1024)
            raise ConfigError(
                f"the MMCM does not make {out_hz / 1e6:g} MHz of {in_hz / 1e6:g} MHz exactly; must "
                f"be {VCO_HZ * STEPS / 1e6:g} MHz / N with N from {DIVIDERS[0]} to {DIVIDERS[-1]}, "
                f"such as {near / 1e6:.6g} MHz"
            )
        return cls(in_hz, out_hz, Fraction(VCO_HZ, in_hz), divider / STEPS)


class MmcmClock(wiring.Component):
    """Drives the domain ``sync``: its clock by an MMCM, its reset until the MMCM has locked.

    Parameters
    ----------
    settings : MmcmSettings
        The frequencies.

    Attributes
    ----------
    clock : in
        The clock of ``in_hz``, from a global buffer.
    reset : in
        Resets MMCM and domain while high; asynchronous.
    """

    def __init__(self, settings: MmcmSettings) -> None:
        self.settings = settings
        super().__init__({"clock": In(1), "reset": In(1)})

    def elaborate(self, platform):
        m = Module()
        feedback, out, locked = Signal(), Signal(), Signal()
        settings = self.settings
        m.submodules.mmcm = Instance(
            "MMCME4_BASE",
            p_CLKIN1_PERIOD=1e9 / settings.in_hz,
            p_CLKFBOUT_MULT_F=float(settings.multiplier),
            p_CLKOUT0_DIVIDE_F=float(settings.divider),
            p_DIVCLK_DIVIDE=1,
            i_CLKIN1=self.clock,
            i_CLKFBIN=feedback,
            i_RST=self.reset,
            i_PWRDWN=Const(0),
            o_CLKFBOUT=feedback,
            o_CLKOUT0=out,
            o_LOCKED=locked,
        )
        m.submodules.buffer = Instance("BUFG", i_I=out, o_O=ClockSignal())
        m.submodules.synchronizer = ResetSynchronizer(~locked | self.reset)
        return m
