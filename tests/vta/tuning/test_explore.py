"""Machines compared. Yosys is replaced by a formula but in the slow test."""

import json
from fractions import Fraction
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from tests.support.onnx_models import digits, quantised
from vta.boards.synthesis.parts import PARTS
from vta.cli import main
from vta.config import VTAConfig
from vta.errors import TuningError
from vta.networks import compile_model
from vta.sim.timing import estimate
from vta.tuning import explore as explore_module
from vta.tuning.engine import InProcess
from vta.tuning.explore import Exploration, Point, explore, part_resources
from vta.tuning.machine_space import MachineSpace, Refused
from vta.tuning.pareto import plot_picture

TINY = VTAConfig.preset("tiny")
SPACE = """
part: LFE5U-25F
base: tiny
memory: [ideal, ddr]
machine:
  LOG_BLOCK: [2, 3]
  LOG_INP_BUFF_SIZE: [8, 9]
"""


def lanes(machine, part):
    """A stand-in for synthesis: one DSP a multiplier, and memories by their size."""
    cfg = VTAConfig.from_dict(machine)
    used = {"LUT4": 900.0 * cfg.block_out, "FF": 500.0, "DSP": float(cfg.block_out**2)}
    return {**used, "EBR": float(cfg.inp_depth * cfg.inp_elem_bytes // 256)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a model")
    quantised(digits(size=8), folder)
    return folder / "int8.onnx"


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "space.yaml"

    def write(text=SPACE):
        path.write_text(text)
        return path

    return write


def test_points_cycles_and_front(model, space, monkeypatch):
    monkeypatch.setattr(explore_module, "part_resources", lanes)
    found = explore({"m": model.read_bytes()}, MachineSpace.from_file(space()), InProcess())
    fitting = [point.machine for point in found.points]
    assert {cfg.block_out for cfg in fitting} == {4}  # 64 DSP are more than 28
    assert len(found.points) == 4
    assert all("does not fit LFE5U-25F: 64 DSP, the part has 28" in r.why for r in found.refused)
    assert [r.keys["LOG_BLOCK"] for r in found.refused] == [3, 3]
    for point in found.points:
        network = compile_model(model, cfg=point.machine)
        programs = [step.program for step in network.steps if step.program]
        assert point.total == sum(estimate(p, point.memory).cycles for p in programs)
        assert point.bytes_moved == sum(p.dram_bytes for p in programs)
    front = found.pareto
    assert [(p.number, p.memory) for p in found.points] == [
        (0, "ideal"), (0, "ddr"), (1, "ideal"), (1, "ddr")
    ]  # fmt: skip
    for memory in ("ideal", "ddr"):
        points = found.of_memory(memory)
        assert min(points, key=lambda p: (p.total, p.used["EBR"])) in front
        worse = [
            p for p in points
            if any(
                (q.total, q.used["EBR"]) != (p.total, p.used["EBR"])
                and q.total <= p.total and q.used["EBR"] <= p.used["EBR"]
                for q in points
            )
        ]  # fmt: skip
        assert {p.number for p in points if p not in front} == {p.number for p in worse}


def test_the_command_writes_a_table_plots_and_machines(model, space, tmp_path, monkeypatch):
    monkeypatch.setattr(explore_module, "part_resources", lanes)
    folder = tmp_path / "out"
    arguments = ["explore", model, "--space", space(), "-o", folder, "--workers", 0]
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert "refused: LOG_BLOCK 3, LOG_INP_BUFF_SIZE 8: does not fit LFE5U-25F" in result.output
    report = json.loads((folder / "machines.json").read_text())
    for row in report["machines"]:
        config = folder / f"machine-{row['machine']}" / "vta_config.json"
        assert VTAConfig.from_file(config).to_dict() == row["config"]
        assert f"{row['cycles']['int8']:,}" in result.output
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "pareto.html").read_text()
    assert "LOG_INP_BUFF_SIZE 9" in page and "<script" in page
    assert 'src="http' not in page


def test_the_folder_is_tried_before_the_work(model, space, tmp_path, monkeypatch):
    (tmp_path / "out").write_text("a file")
    monkeypatch.setattr(explore_module, "explore", None)
    arguments = ["explore", model, "--space", space(), "-o", tmp_path / "out" / "in"]
    result = CliRunner().invoke(main, [*map(str, arguments), "--workers", "0"])
    assert result.exit_code == 1
    assert "out/in: Not a directory" in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- 1", r"entries are \[1\]; must be of part, base, memory, machine"),
        ("part: XC7Z020", "no entry 'machine'"),
        ("part: XC7Z020\nmachine: {}", "must map keys to lists"),
        ("part: XC7Z020\nmachine: {LOG_BLOK: [4]}", "machine has 'LOG_BLOK'; keys are"),
        ("part: XC7Z020\nmachine: {LOG_BLOCK: []}", "LOG_BLOCK is .*; must be a list of integers"),
        ("part: XC7Z020\nmachine: {LOG_BLOCK: [a]}", "must be a list of integers"),
        ("part: XC7Z020\nmemory: fast\nmachine: {LOG_BLOCK: [4]}", "memory 'fast'; presets are"),
        ("part: XC7Z020\nbase: mine\nmachine: {LOG_BLOCK: [4]}", "base mine: "),
        ("part: XC7Z020\nmemory: [[ideal]]\nmachine: {LOG_BLOCK: [4]}", r"memory \['ideal'\]; pre"),
        ("part: XC7Z020\nmachine:\n  LOG_BLOCK: [4]\n  LOG_BLOCK: [5]", "line 4: LOG_BLOCK is the"),
        ("part:\nmachine: {LOG_BLOCK: [4]}", "part is None; must be a name"),
        ("part: XC7Z020\nbase: [tiny]\nmachine: {LOG_BLOCK: [4]}", r"base is \['tiny'\]; must be"),
        (f"part: XC7Z020\nmachine: {{LOG_BLOCK: {[*range(4097)]}}}", "4,097 combinations of keys"),
        ("part: [", "is no YAML: line 1: expected the node content"),
    ],
)
def test_a_file_that_is_no_space(text, words, space):
    with pytest.raises(TuningError, match=words):
        MachineSpace.from_file(space(text))


def test_an_empty_space(model, space):
    path = space("part: LFE5U-25F\nbase: tiny\nmachine: {LOG_BLOCK: [9, 12]}")
    with pytest.raises(TuningError, match=r"no machine that fits:\n  LOG_BLOCK 9: .*LOG_BLOCK"):
        explore({"m": model.read_bytes()}, MachineSpace.from_file(path), InProcess())
    found = list(MachineSpace.from_file(path).machines())
    assert all(isinstance(each, Refused) for each in found) and len(found) == 2


def test_a_model_that_no_machine_runs(model, space, monkeypatch):
    monkeypatch.setattr(explore_module, "part_resources", lanes)
    path = space("part: LFE5U-25F\nbase: tiny\nmachine: {LOG_INP_WIDTH: [2]}")
    with pytest.raises(TuningError, match=r"no machine that fits:\n.*networks need a machine with"):
        explore({"m": model.read_bytes()}, MachineSpace.from_file(path), InProcess())


def test_all_points_are_inside_the_panels(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *_, **__: figures.append(self))
    space = MachineSpace("XC7Z020", TINY, ("ideal", "ddr"), {"EXTENSION": (1,)})
    points = [Point(0, TINY, m, {"m": n}, 9, {"LUT": 9.0}) for m, n in (("ideal", 80), ("ddr", 99))]
    plot_picture(Exploration(space, {"LUT": 100}, points, []), tmp_path / "p.png")
    for axes in figures[0].axes:
        assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 1.05 * 99


@pytest.mark.parametrize("value", [None, {}, {"LUT4": "many"}, {"LUT4": float("nan")}])
def test_garbage_of_a_worker(value, model, space, monkeypatch):
    monkeypatch.setattr(explore_module, "part_resources", lambda machine, part: value)
    with pytest.raises(TuningError, match="worker this process returned no result of a machine"):
        explore({"m": model.read_bytes()}, MachineSpace.from_file(space()), InProcess())


def test_a_machine_is_synthesised_once(tmp_path, monkeypatch):
    """For a version of Yosys; then not even its Verilog is written."""
    made = []

    def synthesise(cfg, part, folder):
        made.append(cfg)
        return SimpleNamespace(used={"LUT4": Fraction(10, 3)})

    tools = [SimpleNamespace(version="Yosys 1")]
    monkeypatch.setattr(explore_module, "cache_folder", lambda name: tmp_path / name)
    monkeypatch.setattr("vta.boards.synth.synthesise", synthesise)
    monkeypatch.setattr("vta.boards.synthesis.yosys.Yosys", lambda cache: tools[-1])
    tiny = VTAConfig.preset("tiny")
    for _ in range(2):
        assert part_resources(tiny.to_dict(), "LFE5U-85F") == {"LUT4": 3.33}
    assert made == [tiny]
    part_resources(tiny.replace(issue_depth=1).to_dict(), "LFE5U-85F")
    tools.append(SimpleNamespace(version="Yosys 2"))
    part_resources(tiny.to_dict(), "LFE5U-85F")
    assert made == [tiny, tiny.replace(issue_depth=1), tiny]


@pytest.mark.slow
def test_resources_are_those_of_yosys():
    """The tiny machine on an open part; and again from the cache, at once."""
    used = part_resources(VTAConfig.preset("tiny").to_dict(), "LFE5U-85F")
    assert set(used) == set(PARTS["LFE5U-85F"].family.resources)
    assert 5_000 < used["LUT4"] < 83_640
    assert part_resources(VTAConfig.preset("tiny").to_dict(), "LFE5U-85F") == used
