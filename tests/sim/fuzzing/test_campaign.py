"""Differential fuzzing, tried on models that are wrong on purpose: each fault is found, and the
program that shows it is made small."""

import json
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.configurations import CONFIGURATIONS
from vta.cli import main
from vta.errors import DeadlockError, VTAError
from vta.isa import AluOpcode, Gemm, MemId
from vta.sim.fuzzing.campaign import Campaign
from vta.sim.fuzzing.differential import difference, is_sound, load_case, save_case
from vta.sim.reference.datapath import Datapath
from vta.sim.reference.loops import product_indices
from vta.sim.reference.model import ReferenceModel

TINY = CONFIGURATIONS["tiny"]


class _RightPad(Datapath):
    """The first of several pads on the right is not zero."""

    def _load(self, insn, memory, counters):
        super()._load(insn, memory, counters)
        if insn.memory is MemId.ACC and insn.x_pad_1 > 1 and not insn.is_nop and insn.y_size:
            row = insn.sram_base + insn.y_pad_0 * (insn.x_pad_0 + insn.x_size + insn.x_pad_1)
            self.acc[row + insn.x_pad_0 + insn.x_size] = 7


class _ZeroExtension(Datapath):
    """ACC_8BIT values are taken for unsigned."""

    def _load(self, insn, memory, counters):
        super()._load(insn, memory, counters)
        if insn.memory is MemId.ACC_8BIT and not insn.is_nop:
            columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
            rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
            self.acc[insn.sram_base :][: rows * columns] &= 0xFF


class _LeftShift(Datapath):
    """A shift by a negative immediate does nothing."""

    def _alu(self, insn, counters):
        if insn.alu_opcode is AluOpcode.SHR and insn.use_imm and insn.imm < 0:
            counters.alu_counter += insn.operations
        else:
            super()._alu(insn, counters)


class _Counter(Datapath):
    """A product too many is counted where there are three loops."""

    def _gemm(self, insn: Gemm, counters):
        super()._gemm(insn, counters)
        if not insn.reset and insn.iter_out > 1 and insn.iter_in > 1 and insn.operations:
            counters.gemm_counter += 1


class _StartedSumGoesOn(Datapath):
    """A GEMM that starts a sum in the last tile of the older GEMM adds to that sum."""

    last_tile = None

    def _gemm(self, insn: Gemm, counters):
        nest = self._nest(insn)
        if not nest.size:
            return
        tiles = np.concatenate([dst for dst, _, _ in product_indices(nest)])
        goes_on = insn.start and nest.has_single_runs and tiles[0] == self.last_tile
        sum_before = self.acc[tiles[0]] * goes_on
        super()._gemm(insn, counters)
        self.acc[tiles[0]] += sum_before
        self.last_tile = tiles[-1]


FAULTS = {kind.__name__: kind for kind in (_RightPad, _ZeroExtension, _LeftShift, _Counter)}


def wrong(datapath):
    """A model with another datapath."""

    class Wrong(ReferenceModel):
        def reset(self):
            self.datapath = datapath(self.cfg)

    return Wrong(TINY)


def first_failure(campaign, limit):
    for trial in campaign.trials():
        if trial.failure is not None:
            return trial.failure
        assert trial.number < limit
    raise AssertionError


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_made_small(name):
    reference, machine = ReferenceModel(TINY), wrong(FAULTS[name])
    campaign = Campaign(TINY, reference, machine, seed=1)
    failure = first_failure(campaign, 200)
    assert campaign.program(failure.machine_seed).stream == failure.program.stream
    small = campaign.shrink(failure, seconds=60).program
    assert is_sound(small)
    assert difference(reference, machine, small)
    working = [insn for insn in small.instructions if not getattr(insn, "is_nop", False)]
    assert len(working) <= 5, small
    assert np.count_nonzero(small.image) <= 256


@pytest.mark.parametrize("seed", range(3))
def test_started_sums_meet_in_one_tile(seed):
    """Few programs are needed: GEMMs that start a sum in the tile of the older GEMM are drawn on
    purpose."""
    campaign = Campaign(TINY, ReferenceModel(TINY), wrong(_StartedSumGoesOn), seed=seed)
    assert first_failure(campaign, 100)


def test_nothing_is_found_where_nothing_is_wrong():
    campaign = Campaign(TINY, ReferenceModel(TINY), ReferenceModel(TINY, seed=3))
    for trial in campaign.trials(first=7):
        assert trial.failure is None
        if trial.number == 40:
            break


def test_a_machine_that_stops():
    class Stops(ReferenceModel):
        def run(self, stream, memory):
            raise DeadlockError("it hangs", index=3, instruction="NOP")

    program = Campaign(TINY, ReferenceModel(TINY), ReferenceModel(TINY)).program(0)
    text = difference(ReferenceModel(TINY), Stops(TINY), program)
    assert text == "the machine stops: it hangs\n  at instruction 3: NOP"


def test_files(tmp_path):
    """What is written is what is read, and `vta exec` takes it."""
    program = Campaign(TINY, ReferenceModel(TINY), ReferenceModel(TINY)).program(3)
    save_case(tmp_path / "a" / "case", program, memory="chaos", machine_seed=3)
    again, note = load_case(tmp_path / "a" / "case")
    assert again.instructions == program.instructions and again.base == program.base
    assert np.array_equal(again.image, program.image) and again.cfg == program.cfg
    assert note["machine_seed"] == 3
    assert note["command"].split()[-2:] == ["--memory", "chaos"]
    folder = tmp_path / "a" / "case"
    result = CliRunner().invoke(
        main,
        ["exec", str(folder / "insns.bin"), "--dram", str(folder / "dram.bin"),
         "--base", hex(note["base"]), "--config", str(folder / "vta_config.json"),
         "--out", str(tmp_path / "out.bin")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    expected = program.memory()
    ReferenceModel(TINY).run(program.stream, expected)
    assert (tmp_path / "out.bin").read_bytes() == expected.data.tobytes()


def test_damaged_files(tmp_path):
    program = Campaign(TINY, ReferenceModel(TINY), ReferenceModel(TINY)).program(3)
    save_case(tmp_path, program)
    (tmp_path / "note.json").write_text("{}")
    with pytest.raises(VTAError, match="cannot be read: 'base'"):
        load_case(tmp_path)
    (tmp_path / "dram.bin").unlink()
    (tmp_path / "note.json").write_text(json.dumps({"base": 0}))
    with pytest.raises(VTAError, match="cannot be read"):
        load_case(tmp_path)


def test_command(tmp_path, monkeypatch):
    """A wrong machine in the place of the RTL: message, files, exit code."""

    class Wrong(ReferenceModel):
        stalls: ClassVar = {"bus: AR stalled": 3, "bus: R stalled": 0}

        def __init__(self, cfg, memory, *, observed):
            assert observed
            self.memory = memory
            super().__init__(cfg)

        def reset(self):
            self.datapath = _RightPad(self.cfg)

        def close(self):
            pass

    monkeypatch.setattr("vta.sim.rtl.machine.VerilatedMachine", Wrong)
    result = CliRunner().invoke(
        main, ["fuzz", "--out", str(tmp_path), "--seed", "4", "--memory", "ddr", "--coverage"]
    )
    assert result.exit_code == 1
    assert "bytes of DRAM differ, the first at 0x" in result.output
    assert "LOAD ACC" in result.output and "instructions" in result.output
    (folder,) = tmp_path.iterdir()
    program, note = load_case(folder)
    assert len(program.instructions) <= 6 and note["memory"] == "ddr" and note["seed"] == 4


def test_command_without_a_failure(monkeypatch):
    class Right(ReferenceModel):
        def __init__(self, cfg, memory, *, observed):
            assert not observed
            super().__init__(cfg)

        def close(self):
            pass

    monkeypatch.setattr("vta.sim.rtl.machine.VerilatedMachine", Right)
    result = CliRunner().invoke(main, ["fuzz", "--programs", "5", "--preset", "default"])
    assert result.exit_code == 0, result.output
    assert "1x16_i8w8a32_15_15_18_17: model and RTL agree on 5 programs" in result.output
