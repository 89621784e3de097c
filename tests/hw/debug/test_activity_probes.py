"""The core with activity probes."""

import pytest
from amaranth.hdl import Fragment
from amaranth.lib.wiring import Flow

from tests.support.configurations import CONFIGURATIONS
from vta.config import VTAConfig
from vta.hw.debug.activity_probes import ACTIVITY, ActiveCore

MACHINES = CONFIGURATIONS | {"tiny_small": VTAConfig.preset("tiny_small")}


def ports(core):
    """Flow and shape of each port."""
    return {path: (member.flow, member.shape) for path, member, _ in core.signature.flatten(core)}


@pytest.mark.parametrize("name", ["tiny", "two_entries", "tiny_small"])
def test_the_core_shows_its_activity(name):
    """The signal of every probe exists, or elaboration fails; the ports are those of the core and
    ``activity``."""
    active = ActiveCore(MACHINES[name])
    assert ports(active) == ports(active.core) | {("activity",): (Flow.Out, len(ACTIVITY))}
    Fragment.get(active, None).prepare()
