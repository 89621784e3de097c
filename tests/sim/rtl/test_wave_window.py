"""Waves of a range of instructions, and the layout that is written beside them."""

from functools import cache

import numpy as np
import pytest

from tests.sim.timing.test_timing import compiled
from tests.support import fst
from tests.support.compiled import run_program
from vta.config import INSN_BYTES, VTAConfig
from vta.errors import DeviceError, IllegalInstructionError
from vta.hw.debug.activity_probes import ACTIVITY
from vta.isa import Isa, PipelineModule
from vta.sim.memory import Memory
from vta.sim.rtl.machine import VerilatedMachine, _window_pulses
from vta.sim.rtl.wave_layout import signals, wave_layout

TINY = VTAConfig.preset("tiny")
CYCLE, AFTER = 10_000, 4  # ps; cycles with waves after the last retirement
NAMES = list(ACTIVITY)


@cache
def program():
    return compiled("matmul", TINY)


def pulses(changes, name):
    """The cycles in which a probe is high."""
    ends = np.append(changes[1:, 0], changes[-1, 0] + 1)
    high = changes[:, 1] >> np.uint64(NAMES.index(name)) & np.uint64(1) == 1
    return [c for a, b in zip(changes[high, 0], ends[high]) for c in range(int(a), int(b))]


@pytest.mark.parametrize("bad", [range(5, 5), range(5, 3), range(99, 101), range(-1, 3)])
def test_a_window_beyond_the_stream_is_refused(bad):
    stream = program().code[: 100 * INSN_BYTES]
    with pytest.raises(DeviceError, match=f"waves of instructions {bad.start} to {bad.stop - 1}: "):
        _window_pulses(Isa.of(TINY), stream, bad)


def test_a_window_counts_dispatches_and_retirements():
    isa, stream = Isa.of(TINY), program().code
    window = range(3, 9)
    begin, ends = _window_pulses(isa, stream, window)
    assert (NAMES[begin.probe], begin.count) == ("dispatched", 4)
    until = [insn.module for insn in program().instructions[:9]]
    assert [(NAMES[end.probe], end.count) for end in ends] == [
        (f"{module.name.lower()} retired", until.count(module)) for module in PipelineModule
    ]


def test_a_window_with_an_illegal_instruction_lasts_until_the_error():
    stream = program().code[: 2 * INSN_BYTES] + b"\xff" * INSN_BYTES + program().code
    begin, ends = _window_pulses(Isa.of(TINY), stream, range(4, 9))
    assert begin.count == 2
    assert sum(end.count for end in ends) == 2 + len(PipelineModule)  # more than can retire


@pytest.mark.parametrize("active", [False, True])
def test_a_layout_has_headings_flags_and_signals(tmp_path, active):
    lines = wave_layout(tmp_path / "w.fst", TINY, active=active).splitlines()
    assert lines[0] == '[dumpfile] "w.fst"'
    groups = signals(TINY, active=active)
    assert [line[1:] for line in lines if line.startswith("-")] == list(groups)
    names = [line for line in lines if line.startswith("TOP.")]
    assert names == [name for group in groups.values() for name in group]


@pytest.mark.slow  # builds of the simulator with waves
def test_waves_hold_the_window_and_the_signals_of_the_layout(tmp_path):
    window = range(5, 12)
    machine = VerilatedMachine(TINY, "ddr", trace=tmp_path / "w.fst", trace_window=window)
    inputs = [np.zeros(t.shape, t.dtype) for t in program().tensors if not t.written]
    run_program(program(), inputs, machine=machine)
    changes = machine.activity()
    machine.close()
    retired = []
    for module in PipelineModule:
        number = sum(insn.module is module for insn in program().instructions[: window.stop])
        retired.append(pulses(changes, f"{module.name.lower()} retired")[number - 1])
    content = (tmp_path / "w.fst").read_bytes()
    begin, end = fst.times(content)
    assert begin == pulses(changes, "dispatched")[window.start] * CYCLE
    assert end == (max(retired) + AFTER) * CYCLE + CYCLE // 2
    found = fst.signals(content)
    for group, names in signals(TINY, active=True).items():
        assert set(names) <= found, group


@pytest.mark.slow
def test_waves_of_an_illegal_instruction(tmp_path):
    machine = VerilatedMachine(TINY, trace=tmp_path / "w.fst", trace_window=range(1, 2))
    finish = program().code[-INSN_BYTES:]
    with pytest.raises(IllegalInstructionError):
        machine.run(b"\xff" * INSN_BYTES + finish, Memory.zeros(0x1000, 64))
    machine.close()
    begin, end = fst.times((tmp_path / "w.fst").read_bytes())
    assert end > begin


@pytest.mark.slow
def test_the_signals_of_the_layout_without_probes(tmp_path):
    VerilatedMachine(TINY, trace=tmp_path / "w.fst").close()
    found = fst.signals((tmp_path / "w.fst").read_bytes())
    for group, names in signals(TINY, active=False).items():
        assert set(names) <= found, group
