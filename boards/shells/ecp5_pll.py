"""The PLL of the ECP5: one clock to another."""

from dataclasses import dataclass

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In

from vta.errors import ConfigError

__all__ = ["Ecp5Clock", "Ecp5PllSettings"]

VCO_HZ = (400_000_000, 800_000_000)
PHASE_HZ = (3_125_000, 400_000_000)
DIVIDERS = range(1, 129)
"""Limits of the data sheet (FPGA-DS-02012, sysCLOCK PLL timing) for the VCO, the phase detector and
each divider."""

VCO_MIDDLE_HZ = 600_000_000


@dataclass(frozen=True)
class Ecp5PllSettings:
    """The three dividers: ``out_hz = in_hz / refclk * feedback``, and the VCO runs at
    ``out_hz * output``."""

    in_hz: int
    out_hz: int
    refclk: int
    feedback: int
    output: int

    @classmethod
    def find(cls, in_hz: int, out_hz: int) -> "Ecp5PllSettings":
        """The settings that give exactly ``out_hz`` from ``in_hz``, with the fastest phase detector
        and the VCO nearest to the middle of its range.

        Raises
        ------
        ConfigError
            If there are none.
        """
        for refclk in DIVIDERS:
            feedback, rest = divmod(out_hz * refclk, in_hz)
            output = round(VCO_MIDDLE_HZ / out_hz)
            if (
                not rest
                and feedback in DIVIDERS
                and output in DIVIDERS
                and PHASE_HZ[0] <= in_hz / refclk <= PHASE_HZ[1]
                and VCO_HZ[0] <= out_hz * output <= VCO_HZ[1]
            ):
                return cls(in_hz, out_hz, refclk, feedback, output)
        raise ConfigError(
            f"the PLL does not make {out_hz / 1e6:g} MHz of {in_hz / 1e6:g} MHz exactly; take a "
            f"clock that is a small fraction of it, such as {in_hz / 1e6 * 8 / 5:g} MHz"
        )


class Ecp5Clock(wiring.Component):
    """Drives the domain ``sync``: its clock by a PLL, its reset until the PLL has settled.

    Parameters
    ----------
    settings : Ecp5PllSettings
        The frequencies.

    Attributes
    ----------
    clock : in
        The clock of ``in_hz``, from its pin.
    reset : in
        Resets the domain while high; asynchronous.
    """

    def __init__(self, settings: Ecp5PllSettings) -> None:
        self.settings = settings
        super().__init__({"clock": In(1), "reset": In(1)})

    def elaborate(self, platform):
        m = Module()
        locked = Signal()
        settings = self.settings
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{settings.in_hz / 1e6:g}",
            a_FREQUENCY_PIN_CLKOP=f"{settings.out_hz / 1e6:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_CLKI_DIV=settings.refclk,
            p_CLKFB_DIV=settings.feedback,
            p_CLKOP_DIV=settings.output,
            p_CLKOP_CPHASE=settings.output // 2,
            p_CLKOP_FPHASE=0,
            p_CLKOP_ENABLE="ENABLED",
            p_FEEDBK_PATH="CLKOP",
            **{
                f"p_{name}": "DISABLED"
                for name in ("PLLRST_ENA", "INTFB_WAKE", "STDBY_ENABLE", "DPHASE_SOURCE")
            },
            **{f"p_OUTDIVIDER_MUX{which}": f"DIV{which}" for which in "ABCD"},
            i_CLKI=self.clock,
            i_CLKFB=ClockSignal(),
            **{
                f"i_{name}": Const(0)
                for name in ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PLLWAKESYNC", "ENCLKOP")
            },
            **{f"i_{name}": Const(1) for name in ("PHASEDIR", "PHASESTEP", "PHASELOADREG")},
            o_CLKOP=ClockSignal(),
            o_LOCK=locked,
        )
        m.submodules.reset = ResetSynchronizer(~locked | self.reset)
        return m
