"""The trace, against the rules of the Chrome trace format and against the run."""

import gzip
import json
from collections import defaultdict
from functools import cache
from numbers import Real

import pytest

from tests.vta.profiling.test_profile import profiled, program
from vta.profiling.trace import trace_bytes


@cache
def events(target="sim", memory="ideal"):
    content = trace_bytes(profiled("matmul", target, memory), compressed=True)
    return json.loads(gzip.decompress(content))["traceEvents"]


@pytest.mark.parametrize("target", ["sim", "tsim"])
def test_events_obey_the_format(target):
    tracks = {e["tid"] for e in events(target) if e["ph"] == "M" and e["name"] == "thread_name"}
    slices = defaultdict(list)
    for event in events(target):
        assert event["ph"] in {"M", "X", "C", "s", "f", "i"} and event["pid"] == 1
        if event["ph"] != "M":
            assert type(event["ts"]) is int and event["ts"] >= 0
        if event["ph"] == "X":
            assert type(event["dur"]) is int and event["dur"] > 0 and event["tid"] in tracks
            slices[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        if event["ph"] == "C":
            assert event["args"] and all(isinstance(v, Real) for v in event["args"].values())
    for event in events(target):  # an arrow without a slice at its end is not drawn
        if event["ph"] in "sf":
            assert any(a <= event["ts"] <= b for a, b in slices[event["tid"]]), event
        if event["ph"] == "f":
            assert event["bp"] == "e"


@pytest.mark.parametrize("target", ["sim", "tsim"])
def test_instructions_say_what_emitted_them(target):
    found = [e["args"] for e in events(target) if "instruction" in e.get("args", {})]
    for args in found:
        source = program().sources.of(args["index"])
        if source is None:
            assert "stage" not in args
        else:
            assert (args["stage"], args["line"]) == (source.stage, source.line)
            assert args["statement"] == source.text and args["layer"] == program().name
            assert args["schedule line"] == str(source.call)
            assert args["schedule"] == source.call.text
            assert source.call.text.startswith("s[")
    assert any("loops" in args for args in found)


def track(name, target, memory):
    (number,) = (
        e["tid"] for e in events(target, memory)
        if e["ph"] == "M" and e["name"] == "thread_name" and e["args"]["name"] == name
    )  # fmt: skip
    return [e for e in events(target, memory) if e["ph"] == "X" and e["tid"] == number]


@pytest.mark.parametrize("memory", ["ideal", "ddr"])
def test_the_tracks_of_the_bus_hold_all_bursts(memory):
    timing = profiled("matmul", "tsim", memory).layers[0].timing
    for name, beats in (("read bus", timing.read_beats), ("write bus", timing.write_beats)):
        assert sum(e["args"]["beats"] for e in track(name, "tsim", memory)) == beats
    by_tensor = defaultdict(int)
    for event in track("read bus", "tsim", memory):
        by_tensor[event["name"]] += event["args"]["beats"] * program().cfg.bus_bytes
    traffic = profiled("matmul", "tsim", memory).layers[0].traffic
    for name, (read, _) in traffic.items():
        assert (by_tensor[name] >= read) == (read > 0 or by_tensor[name] == 0), name
    assert by_tensor["instructions"] >= len(program().code)
    assert {e["name"] for e in track("write bus", "tsim", memory)} == {
        name for name, (_, written) in traffic.items() if written
    }


def test_the_timing_model_has_no_tracks_of_the_bus():
    names = {e["args"]["name"] for e in events() if e["name"] == "thread_name"}
    assert "GEMM" in " ".join(names) and not names & {"read bus", "write bus"}


def test_counters_of_memories_end_with_the_run():
    last = {}
    for event in events("tsim"):
        if event["ph"] == "C" and " in use: " in event["name"]:
            last[event["name"]] = event["args"]["count"]
    assert {name.split()[0] for name in last} == {"UOP", "INP", "WGT", "ACC"}
    assert set(last.values()) == {0}
