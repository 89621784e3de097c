"""The history of figures: what counts as worse, and that a bad line is refused."""

import json
from types import SimpleNamespace

import pytest

from docs.pictures.history import pictures
from tests.bench import bench_area, bench_quality, history
from tests.bench.history import HistoryError, Run, append, changes, read
from vta.config import VTAConfig


def run(**figures):
    return Run("2026-01-01T00:00Z", "abc", figures)


@pytest.mark.parametrize(
    ("kind", "before", "now", "regression"),
    [
        ("cycles", 1000, 1010, False), ("cycles", 1000, 1011, True), ("cycles", 1000, 900, False),
        ("area", 1000, 1050, False), ("area", 1000, 1051, True), ("share", 90, 50, False),
        ("path", 10, 10.5, False), ("path", 10, 10.6, True), ("speed", 0.02, 0.01, False),
        ("clock", 80, 40, False),
    ],
)  # fmt: skip
def test_what_is_a_regression(kind, before, now, regression):
    (change,) = changes([run(**{kind: {"a": before}})], run(**{kind: {"a": now}}))
    assert change.regression == regression


def test_the_last_run_that_has_a_figure_counts():
    runs = [run(cycles={"a": 100, "b": 50}), run(cycles={"a": 200})]
    found = changes(runs, run(cycles={"a": 200, "b": 51, "c": 7}))
    assert [(change.name, change.before, change.now) for change in found] == [("b", 50, 51)]


def test_lines_are_read_back(tmp_path):
    path = tmp_path / "history.jsonl"
    assert read(path) == []
    for number in (1, 2):
        append(run(cycles={"a": number}), path)
    assert read(path) == [run(cycles={"a": 1}), run(cycles={"a": 2})]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2"), ("[]", "must be an object"), ('{"date": ""}', "must be an object"),
        ({"speeds": {}}, "no kind 'speeds'"), ({"cycles": {"a": 0}}, "must be a positive number"),
        ({"cycles": {"a": "1"}}, "must be a positive number"),
    ],
)  # fmt: skip
def test_bad_lines(line, why, tmp_path):
    path = tmp_path / "history.jsonl"
    append(run(cycles={"a": 1}), path)
    text = line if isinstance(line, str) else json.dumps(
        {"date": "", "commit": "", "figures": line}
    )  # fmt: skip
    path.write_text(path.read_text() + text + "\n")
    with pytest.raises(HistoryError, match=f"history.jsonl, line 2: .*{why}" if why != "line 2"
                       else "line 2"):  # fmt: skip
        read(path)


def test_the_command(tmp_path, monkeypatch, capsys):
    """Appends, refuses what is worse, and appends it when it is accepted."""
    path, figures = tmp_path / "history.jsonl", {"cycles": {"a": 100}, "share": {"a": 50.0}}
    monkeypatch.setattr(bench_quality, "tutorials", lambda: figures)

    def call(*more):
        return bench_quality.main(["--quick", "--history", str(path), *more])

    assert call() == 0 and len(read(path)) == 1
    figures["cycles"]["a"] = 102
    assert call() == 1 and len(read(path)) == 1
    assert "+2.00%" in capsys.readouterr().out
    assert call("--accept", "--dry") == 0 and len(read(path)) == 1
    assert call("--accept") == 0 and len(read(path)) == 2
    assert call() == 0


def test_the_history_of_this_project():
    runs = read(history.HISTORY)
    assert any("cycles" in run.figures for run in runs)
    drawn = pictures()
    assert set(drawn) == {"history.svg", "history-dark.svg"}
    assert pictures() == drawn
    for text in drawn.values():
        assert "<svg" in text and runs[-1].commit in text


def test_the_command_for_areas(tmp_path, monkeypatch, capsys):
    """Cells of the resources that a machine names, and the longest path of a flat one."""
    calls, cells = [], {"LUT4": 1000, "FF": 5, "LUT": 100, "DSP": 2, "BRAM36": 1.5}

    def synthesise(cfg, part, folder, *, flat, paths, tell):
        calls.append((cfg, part.name, flat))
        longest = [SimpleNamespace(estimate=12.345)] * paths
        return SimpleNamespace(used=cells, paths=longest)

    monkeypatch.setattr(bench_area, "synthesise", synthesise)
    path = tmp_path / "history.jsonl"

    def call(*more):
        return bench_area.main(["--history", str(path), *more])

    assert call("--machine", "tiny") == 0
    assert calls == [(VTAConfig.preset("tiny"), "LFE5U-85F", True)]
    name = "tiny on LFE5U-85F"
    assert read(path)[0].figures == {"area": {f"{name}, LUT4": 1000}, "path": {name: 12.35}}
    assert call() == 0
    assert [(part, flat) for _, part, flat in calls[1:]] == [
        ("LFE5U-85F", True), ("LFE5U-85F", True), ("XC7Z020", False),
    ]  # fmt: skip
    assert read(path)[1].figures["area"]["default on XC7Z020, BRAM36"] == 1.5
    cells["LUT4"] = 1051
    assert call() == 1 and len(read(path)) == 2
    assert "area 5%" in capsys.readouterr().out
