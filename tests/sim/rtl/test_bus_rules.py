"""The harness ends a run when the core breaks a rule of the bus: each rule, broken once."""

import re
from functools import cache

import numpy as np
import pytest

from tests.support.scripted_core import Row, ScriptedMachine, await_events, read, write
from vta.errors import BusProtocolError
from vta.memory_timing import MemoryTiming
from vta.sim.rtl.harness import Region

NEVER_AR = MemoryTiming(stall_ar=1)
NEVER_AW = MemoryTiming(stall_aw=1)
NEVER_W = MemoryTiming(stall_w=1)
SLOW = MemoryTiming(read_latency=50, write_latency=50)

END = Row(end=1)
WAIT = [Row(events=1000)]  # for ever

# name: (rows, timing, rule, part of the detail)
BROKEN = {
    "ar_burst": ([Row(arvalid=1, araddr=0x1000, arburst=0), *WAIT], None, "AR_BURST", "INCR"),
    "ar_size": ([Row(arvalid=1, araddr=0x1000, arsize=2), *WAIT], None, "AR_SIZE", "2^2"),
    "ar_alignment": ([Row(arvalid=1, araddr=0x1004), *WAIT], None, "AR_ALIGNMENT", "0x1004"),
    "ar_4k": ([Row(arvalid=1, araddr=0x1FF8, arlen=1), *WAIT], None, "AR_4K", "2 beats"),
    "ar_id": ([Row(arvalid=1, araddr=0x1000, arid=3), *WAIT], None, "AR_ID", "3"),
    "ar_dropped": ([Row(arvalid=1, araddr=0x1000), *WAIT], NEVER_AR, "AR_DROPPED", "READY"),
    "ar_unstable": (
        [Row(arvalid=1, araddr=0x1000), Row(arvalid=1, araddr=0x1008), *WAIT],
        NEVER_AR, "AR_UNSTABLE", "payload",
    ),
    "aw_burst": ([Row(awvalid=1, awaddr=0x1000, awburst=2), *WAIT], None, "AW_BURST", "INCR"),
    "aw_size": ([Row(awvalid=1, awaddr=0x1000, awsize=0), *WAIT], None, "AW_SIZE", "2^0"),
    "aw_alignment": ([Row(awvalid=1, awaddr=0x1001), *WAIT], None, "AW_ALIGNMENT", "0x1001"),
    "aw_4k": ([Row(awvalid=1, awaddr=0x1808, awlen=255), *WAIT], None, "AW_4K", "256 beats"),
    "aw_id": ([Row(awvalid=1, awaddr=0x1000, awid=1), *WAIT], None, "AW_ID", "1"),
    "aw_dropped": ([Row(awvalid=1, awaddr=0x1000), *WAIT], NEVER_AW, "AW_DROPPED", "READY"),
    "aw_unstable": (
        [Row(awvalid=1, awaddr=0x1000), Row(awvalid=1, awaddr=0x1000, awlen=1), *WAIT],
        NEVER_AW, "AW_UNSTABLE", "payload",
    ),
    "w_dropped": ([Row(wvalid=1), *WAIT], NEVER_W, "W_DROPPED", "READY"),
    "w_unstable_data": (
        [Row(wvalid=1, wdata=1), Row(wvalid=1, wdata=2), *WAIT], NEVER_W, "W_UNSTABLE", "payload",
    ),
    "w_unstable_strobe": (
        [Row(wvalid=1, wstrb=1), Row(wvalid=1, wstrb=3), *WAIT], NEVER_W, "W_UNSTABLE", "payload",
    ),
    "w_last_early": (
        [Row(awvalid=1, awaddr=0x1000, awlen=1, wvalid=1, wlast=1), *WAIT],
        None, "W_LAST", "beat 1 of 2",
    ),
    "w_last_missing": (
        [Row(awvalid=1, awaddr=0x1000, wvalid=1, wlast=0), *WAIT], None, "W_LAST", "beat 1 of 1",
    ),
    "w_before_aw_too_many": (
        [Row(wvalid=1), Row(wvalid=1, wlast=1), Row(awvalid=1, awaddr=0x1000), *WAIT],
        None, "W_LAST", "2 data beats came for a burst of 1",
    ),
    "w_before_aw_too_few": (
        [Row(wvalid=1, wlast=1), Row(awvalid=1, awaddr=0x1000, awlen=1), *WAIT],
        None, "W_LAST", "1 data beats came for a burst of 2",
    ),
    "w_endless": ([Row(wvalid=1)] * 257 + WAIT, None, "W_LAST", "256"),
    "done_in_read": ([read(0x1000), END], SLOW, "DONE_TOO_EARLY", "read"),
    "done_in_write": ([*write(0x1000, [1]), END], SLOW, "DONE_TOO_EARLY", "write"),
    "done_in_address": ([Row(awvalid=1, awaddr=0x1000), END], None, "DONE_TOO_EARLY", "write"),
}  # fmt: skip

KEPT = {
    "at_the_end_of_a_page": [read(0x1FF0, beats=2), *await_events(2)],
    "data_before_address": [
        Row(wvalid=1, wdata=5, hold=1),
        Row(wvalid=1, wdata=6, wlast=1, hold=1),
        Row(awvalid=1, awaddr=0x1000, awlen=1, hold=1),
        *await_events(1),
    ],
    "longest": [read(0x1000, beats=256), *await_events(256)],
}


@cache
def machine():
    return ScriptedMachine({name: rows for name, (rows, *_) in BROKEN.items()} | KEPT)


def region():
    return Region(0x1000, np.zeros(0x1000, np.uint8), read_ids=0b110, writable=True)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_ends_the_run_and_is_named(name):
    _, timing, rule, detail = BROKEN[name]
    with pytest.raises(
        BusProtocolError, match=rf"^cycle \d+: {rule}: .*{re.escape(detail)}"
    ) as caught:
        machine().run(name, [region()], timing=timing)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", KEPT)
def test_what_the_rules_allow_passes(name):
    assert machine().run(name, [region()]).refused is None
