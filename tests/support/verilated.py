"""Simulated machines that tests share: one for each configuration and memory, built once."""

from functools import cache

from vta.config import VTAConfig
from vta.sim.rtl.machine import VerilatedMachine


def verilated(preset="tiny", memory="ideal"):
    """The machine of a configuration preset, or of a VTAConfig, as after power-up the first time.

    The seed is 0 again, whatever an earlier test has chosen: it decides the cycles of a run. Tests
    that need empty on-chip memories say ``reset()``.
    """
    machine = _built(preset, memory)
    machine.seed = 0
    return machine


@cache
def _built(preset, memory):
    cfg = preset if isinstance(preset, VTAConfig) else VTAConfig.preset(preset)
    return VerilatedMachine(cfg, memory, progress=lambda _: None)  # tests compare what is printed
