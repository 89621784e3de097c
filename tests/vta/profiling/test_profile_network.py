"""Profiles of networks: a layer for each step of the accelerator, by the names of the model."""

import csv

import pytest
from click.testing import CliRunner

from tests.support.onnx_models import quantised, residual
from vta.cli import main
from vta.network_file import load_network
from vta.profiling import profile_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a network")
    quantised(residual(), folder, symmetric=False)
    result = CliRunner().invoke(
        main, ["compile", str(folder / "int8.onnx"), "-o", str(folder / "net.vtanet")]
    )
    assert result.exit_code == 0, result.output
    return folder


def test_layers_are_the_steps_of_the_accelerator(folder):
    network = load_network(folder / "net.vtanet")
    seen = []
    found = profile_network(network, progress=lambda name, number: seen.append((name, number)))
    names = [step.name for step in network.steps if step.program is not None]
    assert [layer.name for layer in found.layers] == names
    assert seen == list(zip(names, range(len(names))))
    assert found.cycles == sum(layer.cycles for layer in found.layers)
    assert sum(found.by_cause.values()) == found.cycles


def test_a_model_and_its_network_give_the_same_table(folder, tmp_path):
    tables = []
    for name in ("int8.onnx", "net.vtanet"):
        out = tmp_path / name
        result = CliRunner().invoke(main, ["profile", str(folder / name), "-o", str(out)])
        assert result.exit_code == 0, result.output
        tables.append((out / "layers.csv").read_text())
    assert tables[0] == tables[1]
    assert len(list(csv.DictReader(tables[0].splitlines()))) > 1
