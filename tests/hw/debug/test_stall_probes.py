"""The core with stall probes."""

import pytest

from tests.support.configurations import CONFIGURATIONS
from vta.config import VTAConfig
from vta.hw.debug.stall_probes import STALLS, ObservedCore
from vta.hw.emit import emit_verilog

MACHINES = CONFIGURATIONS | {"tiny_small": VTAConfig.preset("tiny_small")}


@pytest.mark.parametrize("name", ["tiny", "two_entries", "tiny_small"])
def test_the_core_shows_all_stalls(name):
    """The signal of every probe exists; the ports are those of the core and ``stalls``."""
    cfg = MACHINES[name]
    _, plain = emit_verilog(cfg)
    _, observed = emit_verilog(cfg, observed=True)
    count = sum(map(len, STALLS.values()))
    assert observed["ports"] == {
        **plain["ports"], "stalls": {"direction": "output", "bits": count}
    }  # fmt: skip
    assert len(set(ObservedCore.NAMES)) == count
