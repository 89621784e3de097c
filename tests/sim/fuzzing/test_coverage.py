"""What the random programs reach: everything that is looked for, but for what is listed."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.configurations import CONFIGURATIONS
from vta.isa import Finish, Isa, Load, MemId, Store, Uop
from vta.sim.fuzzing.campaign import Campaign
from vta.sim.fuzzing.coverage import BINS, Coverage, CoveredModel
from vta.sim.memory import Memory

TINY = CONFIGURATIONS["tiny"]


@pytest.mark.parametrize(
    ("name", "programs", "holes"),
    [("tiny", 500, {}), ("base", 400, {}), ("default", 550, {"values": ["GEMM wraps"]})],
)
def test_random_programs_reach_everything(name, programs, holes):
    """On the default machine a sum wraps around too seldom to count on. On one without the
    extension there are no starts of sums to reach."""
    cfg = TINY.replace(extension=0) if name == "base" else CONFIGURATIONS[name]
    model = CoveredModel(cfg)
    campaign = Campaign(cfg, model, model)
    for number in range(programs):
        program = campaign.program(number)
        model.reset()
        model.run(program.stream, program.memory())
    missing = model.coverage.holes()
    for group, names in holes.items():
        missing[group] = [item for item in missing.get(group, []) if item not in names]
    assert not any(missing.values()), missing


def reached(*insns, uop=None):
    """The bins that a stream reaches, as "group: bin"."""
    image = np.zeros(4096, np.uint8)
    image[:4] = Isa.of(TINY).encode_uops([uop or Uop()]).view(np.uint8)
    model = CoveredModel(TINY)
    model.run([*insns, Finish()], Memory(0, image))
    counts = model.coverage.counts
    return {f"{group}: {name}" for group in BINS for name in BINS[group] if counts[group][name]}


def test_one_load():
    load = Load(
        memory=MemId.INP, dram_base=5, sram_base=2, y_size=2, x_size=3, x_stride=4,
        y_pad_0=8, x_pad_1=2, push_next=True,
    )  # fmt: skip
    assert reached(load) == {
        "instructions: LOAD INP", "instructions: FINISH", "pads: INP padded", "pads: y_pad_0 2..14",
        "pads: x_pad_1 2..14", "strides: LOAD INP more", "shapes: LOAD INP 2 rows",
        "shapes: LOAD INP starts inside a beat", "tokens: load push_next", "tokens: compute none",
        "tokens: l2g holds 1", "tokens: l2g keeps some at the end",
    }  # fmt: skip
    nop = replace(load, x_size=0, push_next=False)
    assert reached(nop) == {
        "instructions: NOP LOAD", "instructions: FINISH", "tokens: load none",
        "tokens: compute none",
    }  # fmt: skip


def test_table():
    """One line a group, with the number of bins and the names of those not reached."""
    coverage = Coverage(TINY)
    assert sum(len(names) for names in coverage.holes().values()) < sum(map(len, BINS.values()))
    assert coverage.table().row_count == len(BINS)
    coverage.look(Store(), None)  # a NOP needs no data
    assert "NOP STORE" not in coverage.holes()["instructions"]
