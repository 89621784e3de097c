"""Compiled networks in the cache folder: used if nothing has changed, else made anew."""

import numpy as np
import onnx
import pytest

from tests.support.onnx_models import digits, quantised
from vta import network_cache, networks
from vta.config import VTAConfig
from vta.network_cache import MOST_FILES, cached_network, key_of
from vta.network_file import network_bytes
from vta.networks import compile_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return quantised(digits(size=8), tmp_path_factory.mktemp("a model"))


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """The graphs that were compiled, with a cache folder of the test's own."""
    found, compile_network = [], networks.compile_network

    def count(graph, *arguments, **options):
        found.append(graph.name)
        return compile_network(graph, *arguments, **options)

    monkeypatch.setattr(networks, "compile_network", count)
    monkeypatch.setattr(network_cache, "cache_folder", lambda name: tmp_path / "cache" / name)
    return found


def test_a_model_is_compiled_once(model, compiled):
    cfg = VTAConfig()
    first = compile_model(model, cfg=cfg, cached=True)
    second = compile_model(model, cfg=cfg, cached=True)
    assert len(compiled) == 1
    assert network_bytes(first) == network_bytes(second)
    compile_model(model, cfg=cfg)
    assert len(compiled) == 2


def test_what_a_network_depends_on(model, compiled, tmp_path, monkeypatch):
    changed = onnx.load(model)
    weights = next(item for item in changed.graph.initializer if item.name == "w1_quantized")
    values = onnx.numpy_helper.to_array(weights).copy()
    values.flat[0] ^= 1
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    onnx.save(changed, tmp_path / "int8.onnx")
    runs = [
        (model, {}),
        (tmp_path / "int8.onnx", {}),
        (model, {"cfg": VTAConfig(log_uop_buff_size=14)}),
        (model, {"cfg": VTAConfig(target="tsim")}),
        (model, {"join_programs": True}),
        (model, {"name": "another"}),
    ]
    for number, (path, options) in enumerate(runs, 1):
        for _ in range(2):
            compile_model(path, **{"cfg": VTAConfig(), **options}, cached=True)
        assert len(compiled) == number, options
    monkeypatch.setattr(network_cache, "_sources", lambda: b"another compiler")
    compile_model(model, cfg=VTAConfig(), cached=True)
    assert len(compiled) == len(runs) + 1


def test_a_damaged_file_is_made_anew(model, compiled, tmp_path):
    first = compile_model(model, cfg=VTAConfig(), cached=True)
    (path,) = (tmp_path / "cache" / "networks").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    second = compile_model(model, cfg=VTAConfig(), cached=True)
    assert len(compiled) == 2
    assert network_bytes(first) == network_bytes(second)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written(model, compiled, tmp_path):
    (tmp_path / "cache").write_text("a file")
    network = compile_model(model, cfg=VTAConfig(), cached=True)
    assert network.steps
    assert np.array_equal((tmp_path / "cache").read_text(), "a file")


def test_the_newest_are_kept(model, compiled, tmp_path):
    network = compile_model(model, cfg=VTAConfig())
    keys = [key_of(b"model", VTAConfig(), {"number": number}) for number in range(MOST_FILES + 3)]
    assert len(set(keys)) == len(keys)
    for key in keys:
        cached_network(key, lambda: network)
    names = {file.name for file in (tmp_path / "cache" / "networks").iterdir()}
    assert len(names) == MOST_FILES
    assert f"{keys[-1]}.vtanet" in names
