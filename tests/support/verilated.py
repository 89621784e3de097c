"""Simulated machines that tests share: one for each configuration and memory, built once."""

from functools import cache

from vta.config import VTAConfig
from vta.sim.rtl.machine import VerilatedMachine


@cache
def verilated(preset="tiny", memory="ideal"):
    """The machine of a configuration preset, or of a VTAConfig, as after power-up the first time.

    Tests that need empty on-chip memories say ``reset()``.
    """
    cfg = preset if isinstance(preset, VTAConfig) else VTAConfig.preset(preset)
    return VerilatedMachine(cfg, memory, progress=lambda _: None)  # tests compare what is printed
