"""A machine for parts with DSP48 slices and LUTs of six inputs does what every other one does."""

import pytest

from vta.config import VTAConfig
from vta.hw.emit import emit_verilog
from vta.sim.fuzzing.campaign import Campaign
from vta.sim.reference.model import ReferenceModel
from vta.sim.rtl import machine as verilator

PROGRAMS = 300


@pytest.mark.parametrize(
    ("preset", "memory"),
    [
        ("tiny", "chaos"),
        pytest.param("tiny", "ideal", marks=pytest.mark.slow),
        pytest.param("default", "chaos", marks=pytest.mark.slow),
        pytest.param("default", "ideal", marks=pytest.mark.slow),
    ],
)
def test_random_programs(memory, preset, monkeypatch):
    cfg = VTAConfig.preset(preset)
    text, _ = emit_verilog(cfg, dsp48=True, wide_luts=True)
    assert text != emit_verilog(cfg)[0]
    monkeypatch.setattr(verilator, "_verilog", lambda *_: text)
    machine = verilator.VerilatedMachine(cfg, memory)
    try:
        for trial in Campaign(cfg, ReferenceModel(cfg), machine, seed=12).trials():
            assert trial.failure is None, trial.failure.difference
            if trial.number + 1 == PROGRAMS:
                break
    finally:
        machine.close()
