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

VCO_HZ = (800_000_000, 1_600_000_000)
"""Limits that every speed grade keeps."""
VCO_BEST_HZ = 1_200_000_000
STEPS = 8
"""The multiplier and the divider of the first output are multiples of an eighth."""
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
        """The settings that give exactly ``out_hz`` from ``in_hz``: whole numbers if that can be,
        and the VCO nearest to the middle of its range.

        Raises
        ------
        ConfigError
            If there are none.
        """
        multipliers = _multipliers(in_hz)
        found = [
            (
                bool(multiplier % STEPS or divider % STEPS),
                abs(in_hz * multiplier // STEPS - VCO_BEST_HZ),
                multiplier,
                divider,
            )
            for multiplier in multipliers
            for divider, rest in [divmod(in_hz * multiplier, out_hz)]
            if not rest and divider in DIVIDERS
        ]
        if not found:
            makes = {Fraction(in_hz * m, d) for m in multipliers for d in DIVIDERS}
            whole = [hz for hz in makes if hz.denominator == 1]
            near = sorted(whole, key=lambda hz: abs(hz - out_hz))[:2]
            named = " and ".join(f"{float(hz) / 1e6:.9g}" for hz in near)
            raise ConfigError(
                f"the MMCM does not make {out_hz / 1e6:g} MHz of {in_hz / 1e6:g} MHz exactly; the "
                f"nearest that it makes are {named} MHz"
            )
        *_, multiplier, divider = min(found)
        return cls(in_hz, out_hz, Fraction(multiplier, STEPS), Fraction(divider, STEPS))


def _multipliers(in_hz: int) -> list[int]:
    """In eighths: those that keep the VCO within its limits."""
    lowest, highest = (Fraction(hz * STEPS, in_hz) for hz in VCO_HZ)
    return [m for m in range(DIVIDERS[-1]) if lowest <= m <= highest]


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
