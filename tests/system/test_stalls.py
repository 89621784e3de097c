"""Stalls inside the RTL: what one program meets, and that random programs meet all."""

import numpy as np
import pytest

from tests.support.configurations import CONFIGURATIONS
from vta.isa import Finish, Load, MemId
from vta.sim.fuzzing.campaign import Campaign
from vta.sim.fuzzing.stall_coverage import stall_holes, stall_table
from vta.sim.memory import Memory
from vta.sim.reference.model import ReferenceModel
from vta.sim.rtl.machine import VerilatedMachine

TINY = CONFIGURATIONS["tiny"]
slow = pytest.mark.slow


@slow
def test_one_stall():
    """FINISH stalls on a token of a load, which stalls on its beats."""
    machine = VerilatedMachine(TINY, "far", observed=True)
    load = Load(memory=MemId.INP, y_size=1, x_size=4, x_stride=4, push_next=True)
    machine.run([load, Finish(pop_prev=True)], Memory(0, np.zeros(4096, np.uint8)))
    seen = {name for name, cycles in machine.stalls.items() if cycles}
    assert seen == {
        "queues: load empty", "queues: compute empty", "queues: store empty",
        "tokens: compute stalls on l2g", "data: fetch stalls on R", "data: load stalls on R",
    }  # fmt: skip
    assert machine.stalls["tokens: compute stalls on l2g"] > 200  # the latency is 250
    before = machine.stalls
    machine.reset()
    assert machine.stalls == before


@slow
def test_a_plain_machine_counts_nothing():
    assert VerilatedMachine(TINY).stalls == {}


@slow
def test_random_programs_meet_all_stalls():
    """What stalls at random, and what takes long: together nothing is left."""
    reached: dict[str, int] = {}
    for memory in ("chaos", "far"):
        machine = VerilatedMachine(TINY, memory, observed=True)
        campaign = Campaign(TINY, ReferenceModel(TINY), machine)
        for trial in campaign.trials():
            assert trial.failure is None
            if trial.number == 600:
                break
        for name, cycles in machine.stalls.items():
            reached[name] = reached.get(name, 0) + cycles
    assert stall_holes(reached) == {}


def test_table():
    table = stall_table({"bus: AR stalled": 3, "bus: R stalled": 0, "data: W waits": 0})
    rows = [list(column.cells) for column in table.columns]
    assert rows == [["bus", "data"], ["1/2", "0/1"], ["R stalled", "W waits"]]
