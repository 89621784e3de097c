"""The file of a network: back and forth, on a machine without ONNX, damaged and hostile."""

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import vta
from tests.support.onnx_builder import Builder
from tests.support.onnx_models import inputs_of, quantised, residual
from vta import rpc
from vta.cli import main
from vta.config import VTAConfig
from vta.errors import NetworkError
from vta.network_check import check_network
from vta.network_file import load_network, network_bytes, network_from_bytes
from vta.networks import compile_model
from vta.quantization import quantise
from vta.runtime.network import NetworkModule


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a network")
    quantised(residual(), folder, symmetric=False)
    np.save(folder / "x.npy", inputs_of(residual(), 1)["x"])
    result = command("compile", folder / "int8.onnx", "-o", folder / "net.vtanet")
    assert result.exit_code == 0, result.output
    base = compile_model(folder / "int8.onnx", cfg=VTAConfig().replace(extension=0))
    (folder / "base.vtanet").write_bytes(network_bytes(base))  # the host pads
    return folder


@pytest.fixture(scope="module")
def network(folder):
    return load_network(folder / "net.vtanet")


def command(*arguments):
    return CliRunner().invoke(main, [str(item) for item in arguments])


def test_the_same_as_the_model(folder):
    outputs = []
    for name in ("int8.onnx", "net.vtanet"):
        result = command("run", folder / name, "--input", folder / "x.npy", "--json")
        assert result.exit_code == 0, result.output
        outputs.append(json.loads(result.stdout)["outputs"])
    assert outputs[0] == outputs[1]
    by_call = vta.load(folder / "net.vtanet")(np.load(folder / "x.npy"))
    assert np.array(outputs[0]["y"], np.float32).tolist() == by_call["y"].tolist()


def test_a_model_is_no_network(folder):
    with pytest.raises(NetworkError, match=r"int8\.onnx is an ONNX model; `vta compile` makes"):
        vta.load(folder / "int8.onnx")


def test_numbers_beyond_the_scale_are_clipped(network):
    """Also those whose quotient by the scale is beyond float32; a warning would be an error."""
    module = NetworkModule(network, rpc.LocalSession(network.cfg).ext_dev(0))
    shape = network.tensors[network.inputs[0]].shape
    large, huge = (
        module(np.full(shape, number, np.float32)) for number in (1e6, np.finfo(np.float32).max)
    )
    np.testing.assert_array_equal(large["y"], huge["y"])


def test_the_same_bytes(folder, network):
    content = (folder / "net.vtanet").read_bytes()
    assert network_bytes(network) == content
    assert network_bytes(compile_model(folder / "int8.onnx")) == content


def test_classes_and_preprocessing(network):
    named = replace(network, classes=("cat", "dog ✓"), preprocessing="channels = 'gray'\n")
    read = network_from_bytes(network_bytes(named))
    assert (read.classes, read.preprocessing) == (named.classes, named.preprocessing)


def test_without_onnx(folder):
    """As on a board: neither ONNX nor the compiler is imported."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['onnx', 'onnxruntime', 'PIL', 'amaranth']));"
        "from vta.cli import main; main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", folder / "net.vtanet", "--input", folder / "x.npy"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_another_machine(network):
    other = VTAConfig.preset("tiny")
    device = vta.rpc.LocalSession(other).ext_dev(0)
    with pytest.raises(NetworkError, match=r"compiled for 1x16.*they differ in: LOG_BLOCK"):
        vta.runtime.network.NetworkModule(network, device)


def test_calls(folder):
    module, x = vta.load(folder / "net.vtanet"), np.load(folder / "x.npy")
    wanted = module(x)["y"].tolist()
    assert module(x=x)["y"].tolist() == module({"x": x})["y"].tolist() == wanted
    for arrays, said in (
        (({},), "input x is missing; must be float32 of shape (1, 16, 9, 9)"),
        ((x, x), "2 inputs; must be 1: x"),
        ((x.astype(float),), "input x is float64 of shape (1, 16, 9, 9); must be float32"),
        ((x[0],), "input x is float32 of shape (16, 9, 9); must be"),
        (({"x": x, "z": x},), "no input z; there are x"),
    ):
        with pytest.raises(NetworkError) as error:
            module(*arrays)
        assert said in str(error.value)
    with pytest.raises(NetworkError, match="inputs are of type ndarray; must be a mapping"):
        module.run(x)
    module.free()
    with pytest.raises(vta.errors.DeviceError, match="used after free"):
        module(x)


def test_truncated_and_damaged(folder):
    content = (folder / "net.vtanet").read_bytes()
    rng = np.random.default_rng(0)
    for size in (0, 1, 100, len(content) // 2, len(content) - 1):
        with pytest.raises(NetworkError):
            network_from_bytes(content[:size])
    for place in rng.integers(0, len(content), 50):
        changed = bytearray(content)
        changed[place] ^= 1 << rng.integers(8)
        with pytest.raises(NetworkError, match="network"):
            network_from_bytes(bytes(changed))


def rewritten(folder, change):
    """The file with another manifest, whole otherwise."""
    with zipfile.ZipFile(folder / "base.vtanet") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members["manifest.json"])
    change(manifest)
    members["manifest.json"] = json.dumps(manifest, indent=1).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.create_version, info.extract_version = 3, 20, 20
            info.external_attr = 0o600 << 16
            archive.writestr(info, data)
    return out.getvalue()


def tensor(manifest, name):
    return next(item for item in manifest["tensors"] if item["name"] == name)


def host(manifest, operator):
    return next(item for item in manifest["steps"] if item["operator"] == operator)


def test_rewritten_unchanged(folder):
    assert rewritten(folder, lambda manifest: None) == (folder / "base.vtanet").read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(version=2), "format version 2; this package reads version 1"),
        (lambda m: m.update(arena=0), "must lie in the arena of 0 bytes"),
        (lambda m: m.update(arena=1 << 60), "the arena has"),
        (lambda m: m.update(outputs=[]), "there is no output"),
        (lambda m: m.update(outputs=["none"]), "output none is not computed"),
        (lambda m: m.update(inputs=["y"]), "reads x, which is not computed"),
        (lambda m: m.update(inputs=[3]), "must be names"),
        (lambda m: m["steps"].reverse(), "which is not computed before"),
        (lambda m: m["steps"].append(m["steps"][0]), "again, or no tensor"),
        (lambda m: m["tensors"].append(m["tensors"][0]), "is there twice"),
        (lambda m: m["config"].update(LOG_BLOCK=3), "LOG_"),
        (lambda m: tensor(m, "x").update(dtype="object"), "dtype object; must be float32"),
        (lambda m: tensor(m, "x").update(shape=[1 << 40, 1 << 40]), "more than"),
        (lambda m: tensor(m, "x").update(shape=[1 << 30]), "bytes; at most"),
        (lambda m: tensor(m, "x").update(shape=[-1]), "extents must be positive"),
        (lambda m: tensor(m, "x").update(shape="x"), "must be at most 32 integers"),
        (lambda m: host(m, "pack").update(operator="exec"), "no host operator exec"),
        (lambda m: host(m, "pack")["attributes"].update(tile=[1 << 20, 1 << 20]), "pack makes"),
        (lambda m: host(m, "pack")["attributes"].update(tile=[0, 0]), "two positive sizes"),
        (lambda m: host(m, "pack")["attributes"].update(other=1), "attributes"),
        (lambda m: host(m, "pad")["attributes"].update(pads=[1 << 40] * 4), "pad makes"),
        (lambda m: host(m, "pad")["attributes"].update(pads=[-1] * 4), "must not be negative"),
        (lambda m: host(m, "pad")["attributes"].update(pads=3), "pad"),
        (lambda m: host(m, "conv2d").update(program=None), "no host operator conv2d"),
        (lambda m: host(m, "conv2d").update(program=[0, 1 << 40]), "is no offset and size in"),
        (lambda m: host(m, "conv2d").update(program=[1, 100]), "not a VTA program"),
        (lambda m: host(m, "conv2d")["inputs"].pop(), "tensors for a program with"),
        (lambda m: host(m, "conv2d")["inputs"].reverse(), "its program takes"),
    ],
)
def test_hostile_manifests(folder, change, said):
    with pytest.raises(NetworkError) as error:
        network_from_bytes(rewritten(folder, change))
    assert said in str(error.value)


def test_a_host_operator_with_a_long_list(tmp_path):
    """A resize has the place of each row and each column."""
    b = Builder()
    size = b.integers(1, 4, 50, 45)
    x = b.op("Resize", b.conv("x", 3, 4), "", "", size, mode="nearest")
    onnx.save(b.model(x, [1, 3, 40, 40]), tmp_path / "real.onnx")
    samples = [np.random.default_rng(0).normal(0, 1, (1, 3, 40, 40)).astype(np.float32)]
    quantise(tmp_path / "real.onnx", tmp_path / "int8.onnx", samples)
    made = compile_model(tmp_path / "int8.onnx")
    again = network_from_bytes(network_bytes(made))
    (step,) = (step for step in again.steps if step.operator == "resize")
    assert [len(step.attributes[name]) for name in ("rows", "columns")] == [50, 45]


def test_padding_that_is_wider_than_a_window(tmp_path):
    b = Builder()
    weights = b.constant(b.normal(12, 3, 3, 2, scale=0.3))
    x = b.op("Conv", "x", weights, kernel_shape=[3, 2], pads=[0, 3, 2, 1], strides=[2, 3])
    onnx.save(b.model(x, [1, 3, 9, 9]), tmp_path / "real.onnx")
    samples = [np.random.default_rng(0).normal(0, 1, (1, 3, 9, 9)).astype(np.float32)]
    quantise(tmp_path / "real.onnx", tmp_path / "int8.onnx", samples)
    network_from_bytes(network_bytes(compile_model(tmp_path / "int8.onnx")))


def test_windows_of_a_hostile_file(folder):
    """A padding would make an image of any size."""
    network = load_network(folder / "base.vtanet")
    step = next(step for step in network.steps if step.operator == "pad")
    frame = {"dilations": (1, 1), "kernel": (1, 1), "strides": (1, 1), "value": 0}
    for wrong in (
        {"pads": (1 << 30, 0, 0, 0)}, {"pads": (0, 0, 0, 0), "kernel": (0, 1)},
        {"pads": (0, 0, 0, 0), "kernel": (100, 1)}, {"pads": (0, 0, 0, 0), "strides": (0, 1)},
    ):  # fmt: skip
        hostile = replace(step, operator="im2col", attributes={**frame, **wrong})
        steps = tuple(hostile if item is step else item for item in network.steps)
        with pytest.raises(NetworkError, match="im2col: "):
            check_network(replace(network, steps=steps))
