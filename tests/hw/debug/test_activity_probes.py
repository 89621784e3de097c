"""The core with activity probes."""

import pytest

from tests.support.configurations import CONFIGURATIONS
from vta.config import VTAConfig
from vta.hw.debug.activity_probes import ACTIVITY
from vta.hw.emit import emit_verilog

MACHINES = CONFIGURATIONS | {"tiny_small": VTAConfig.preset("tiny_small")}


@pytest.mark.parametrize("name", ["tiny", "two_entries", "tiny_small"])
def test_the_core_shows_its_activity(name):
    """The signal of every probe exists; the ports are those of the core and ``activity``."""
    cfg = MACHINES[name]
    _, plain = emit_verilog(cfg)
    _, active = emit_verilog(cfg, active=True)
    port = {"direction": "output", "bits": len(ACTIVITY)}
    assert active["ports"] == {**plain["ports"], "activity": port}
