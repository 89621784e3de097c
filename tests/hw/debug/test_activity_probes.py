"""The core with activity probes."""

import pytest

from tests.support.configurations import CONFIGURATIONS
from vta.hw.debug.activity_probes import ACTIVITY
from vta.hw.emit import emit_verilog


@pytest.mark.parametrize("name", ["tiny", "two_entries"])
def test_the_core_shows_its_activity(name):
    """The signal of every probe exists; the ports are those of the core and ``activity``."""
    cfg = CONFIGURATIONS[name]
    _, plain = emit_verilog(cfg)
    _, active = emit_verilog(cfg, active=True)
    port = {"direction": "output", "bits": len(ACTIVITY)}
    assert active["ports"] == {**plain["ports"], "activity": port}
