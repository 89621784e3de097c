"""`vta tune`, and the commands that take its schedules."""

import json
import sqlite3

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from tests.support.onnx_models import digits, inputs_of, quantised
from vta.cli import main
from vta.config import VTAConfig
from vta.networks import compile_model
from vta.tuning import ScheduleLog
from vta.tuning.model_workloads import model_workloads

TINY = VTAConfig.preset("tiny")
MEMORY = "ideal"


def vta(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a search")
    quantised(digits(size=8), folder)
    np.save(folder / "x.npy", inputs_of(digits(size=8), 3)["x"])
    result = vta(
        "tune", folder / "int8.onnx", "--preset", "tiny", "--trials", 8, "--workers", 0,
        "--log", folder / "log.sqlite",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (folder / "output").write_text(result.output)
    return folder


def test_the_table_and_the_log(folder):
    output = (folder / "output").read_text()
    workloads = model_workloads(folder / "int8.onnx", TINY)
    entries = ScheduleLog(folder / "log.sqlite").entries(TINY, MEMORY)
    assert {e.workload.key for e in entries} == {w.key for w in workloads}
    lines = [line.split() for line in output.splitlines()]
    (total,) = (line for line in lines if line[:1] == ["total"])
    keys = {w.key: count for w, count in workloads.items()}
    for column, name in ((2, "default_cycles"), (3, "cycles")):
        want = sum(keys[e.workload.key] * getattr(e, name) for e in entries)
        assert total[column] == f"{want:,}"


def test_a_tuned_network_gives_the_same_in_fewer_cycles(folder):
    common = (folder / "int8.onnx", "--preset", "tiny", "--target", "tsim", "--json")
    plain = json.loads(vta("run", *common, "--input", folder / "x.npy").stdout)
    log = folder / "log.sqlite"
    tuned = json.loads(vta("run", *common, "--input", folder / "x.npy", "--schedules", log).stdout)
    assert tuned["outputs"] == plain["outputs"]
    assert tuned["cycles"] < plain["cycles"]
    names = [layer["name"] for layer in tuned["layers"] if layer["tuned"]]
    assert names == ["conv1", "conv2", "fc"]
    assert not any(layer["tuned"] for layer in plain["layers"])
    text = vta("run", *common[:-1], "--input", folder / "x.npy", "--schedules", log).output
    assert sum(line.split()[-1:] == ["tuned"] for line in text.splitlines()) == 3


def test_a_compiled_network_says_that_it_is_tuned(folder):
    net = folder / "net.vtanet"
    result = vta(
        "compile", folder / "int8.onnx", "-o", net, "--preset", "tiny",
        "--schedules", folder / "log.sqlite",
    )  # fmt: skip
    assert "programs (3 tuned)" in result.output
    assert "tuned" in vta("run", net, "--input", folder / "x.npy").output
    cached = compile_model(folder / "int8.onnx", cfg=TINY, name="int8", cached=True)
    assert not any(step.tuned for step in cached.steps)  # not that of the cache


def test_layers_that_a_log_does_not_have_are_named(folder, tmp_path):
    # The kernel of conv1 is 1x1 by now: the host gathers the windows of its only channel.
    part = ScheduleLog(tmp_path / "part.sqlite", create=True)
    part.add(
        entry
        for entry in ScheduleLog(folder / "log.sqlite").entries(TINY, MEMORY)
        if max(entry.workload.shape.window.kernel) == 3
    )
    result = vta(
        "compile", folder / "int8.onnx", "-o", tmp_path / "net.vtanet", "--preset", "tiny",
        "--schedules", part.path,
    )  # fmt: skip
    assert "programs (1 tuned)" in result.output
    assert result.output.endswith(
        f"no schedule in {part.path}, so with the default one: conv1, fc\n"
    )


def test_a_log_of_another_machine_or_memory(folder):
    common = ("run", folder / "int8.onnx", "--input", folder / "x.npy", "--schedules")
    result = vta(*common, folder / "log.sqlite", "--preset", "ulx3s_85f")
    assert result.exit_code == 1
    assert "has no schedule for the machine 1x4_i8w8a32_" in result.output
    assert "it has schedules for 1x4_i8w8a32_8_8_10_10_64bit_extended_micro" in result.output
    result = vta(*common, folder / "missing.sqlite")
    assert "missing.sqlite: no such log of schedules; `vta tune` makes one" in result.output


def test_export_and_import(folder, tmp_path):
    lines, other = tmp_path / "log.jsonl", tmp_path / "other.sqlite"
    result = vta("tune", "--log", folder / "log.sqlite", "--export", lines)
    assert f"3 schedules of {folder / 'log.sqlite'} -> {lines}" in result.output
    result = vta("tune", "--log", other, "--import", lines)
    assert result.output == f"{lines}: new or faster schedules: 3\n"
    result = vta("tune", "--log", other, "--merge", folder / "log.sqlite")
    assert "new or faster schedules: 0" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give models or operators, --import or --export"),
        (("conv1d((1, 2), 3)",), "conv1d: no operator with tilings"),
        (("dense((1, 8), 0)",), "units is 0; must be an integer of at least 1"),
        (("dense((1, 8), 8)", "--scheduler", "tcp://127.0.0.1:1"), "no Dask scheduler at tcp://"),
        (("dense((1, 8), 8)", "--scheduler", "nonsense://x"), "no Dask scheduler at nonsense://"),
        (("dense((1, 8), 8)", "--measure-on", "sim"), "must be one of tsim, pynq"),
        (("dense((1, 8), 8)", "--seed", "-1"), "-1 is not in the range"),
        (("dense((1, 8), 8)", "--minutes", "nan"), "nan is not a finite number"),
        (("dense((1, 8), 8)", "--workers", "1", "--measure-on", "pynq"), "computer have no board"),
    ],
)
def test_what_is_refused(arguments, words, tmp_path):
    log = () if not arguments else ("--log", tmp_path / "log.sqlite")
    result = vta("tune", *arguments, *log, "--preset", "tiny")
    assert result.exit_code
    assert words in result.output


def test_a_name_that_is_no_operator_makes_no_log(tmp_path):
    log = tmp_path / "log.sqlite"
    assert vta("tune", "conv1d((1, 2), 3)", "--log", log, "--preset", "tiny").exit_code
    assert not log.exists()


def test_a_damaged_log_is_an_error_before_the_search(folder, tmp_path):
    log = tmp_path / "log.sqlite"
    log.write_bytes((folder / "log.sqlite").read_bytes())
    with sqlite3.connect(log) as database:
        database.execute("UPDATE vta_schedules SET tiling = '{}'")
    before = log.read_bytes()
    result = vta("tune", folder / "int8.onnx", "--preset", "tiny", "--log", log)
    assert result.exit_code == 1
    assert "log.sqlite: no entry of a log of schedules: tiling: missing" in result.output
    assert log.read_bytes() == before


def test_a_model_without_layers_to_tune(tmp_path):
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node], "g", [info("x", 1, (1, 4, 4, 4))], [info("y", 1, (1, 4, 4, 4))]
    )
    path = tmp_path / "relu.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    result = vta("tune", path, "--log", tmp_path / "log.sqlite", "--preset", "tiny")
    assert result.exit_code == 1
    assert "relu" in result.output
