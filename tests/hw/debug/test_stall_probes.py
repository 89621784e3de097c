"""The core with stall probes."""

import pytest
from amaranth.hdl import Fragment
from amaranth.lib.wiring import Flow

from tests.support.configurations import CONFIGURATIONS
from vta.config import VTAConfig
from vta.hw.debug.stall_probes import STALLS, ObservedCore

MACHINES = CONFIGURATIONS | {"tiny_small": VTAConfig.preset("tiny_small")}


def ports(core):
    """Flow and shape of each port."""
    return {path: (member.flow, member.shape) for path, member, _ in core.signature.flatten(core)}


@pytest.mark.parametrize("name", ["tiny", "two_entries", "tiny_small"])
def test_the_core_shows_all_stalls(name):
    """The signal of every probe exists, or elaboration fails; the ports are those of the core and
    ``stalls``."""
    observed = ObservedCore(MACHINES[name])
    count = sum(map(len, STALLS.values()))
    assert ports(observed) == ports(observed.core) | {("stalls",): (Flow.Out, count)}
    assert len(set(ObservedCore.NAMES)) == count
    Fragment.get(observed, None).prepare()
