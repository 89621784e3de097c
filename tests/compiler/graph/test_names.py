"""Names of nodes and tensors that passes make: each once, whatever the model calls its own."""

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime, inputs_of, model
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.compiler.graph.pipeline import MACHINE_PASSES
from vta.compiler.graph.verify import verify_graph
from vta.config import VTAConfig
from vta.network_check import check_network
from vta.runtime.network import NetworkModule

TINY = VTAConfig.preset("tiny").replace(target="sim")
DEFAULT = VTAConfig(target="sim")
CONSTANTS = {"s": np.float32(0.02), "z": np.uint8(120), "t": np.float32(0.1), "zw": np.int8(0)}


def quantised(name, zero="z", scale="s"):
    """The nodes from NAME to NAME_q, the same real numbers on the grid of stored integers."""
    return [
        helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_i"], f"quantize {name}"),
        helper.make_node("DequantizeLinear", [f"{name}_i", scale, zero], [f"{name}_q"]),
    ]


def weights_of(name, *shape, seed=0):
    values = np.random.default_rng(seed).integers(-90, 90, shape).astype(np.int8)
    return {f"{name}_i": values, f"{name}_s": np.float32(0.004)}


def dequantised(name):
    return helper.make_node("DequantizeLinear", [f"{name}_i", f"{name}_s", "zw"], [name])


def run(made, path, cfg):
    """Every tensor on the model is the interpreter's; the outputs, and onnxruntime's."""
    onnx.save(made, path)
    graph = integer(path)
    rewritten = graph
    for rewrite in MACHINE_PASSES.values():
        rewritten = rewrite(rewritten, cfg)
        verify_graph(rewritten)
    network = compile_network(graph, cfg)
    check_network(network)
    inputs = inputs_of(made, 3)
    wrong, ran = differing(graph, NetworkModule(network, rpc.LocalSession(cfg).ext_dev(0)), inputs)
    assert not wrong
    wanted = by_onnxruntime(path, inputs)
    for name, values in ran.outputs.items():
        assert np.ptp(wanted[name]) > 1
        assert np.abs(values - wanted[name]).max() <= 0.101  # a step
    return network


@pytest.mark.parametrize("crop", [False, True])
def test_a_transposed_convolution_in_parts(crop, tmp_path):
    """Its phases are joined, and so are the parts of its channels."""
    pads = [0, 1, 1, 1] if crop else [0, 0, 0, 0]
    size = (8 - pads[0] - pads[2], 8 - pads[1] - pads[3])
    nodes = [
        *quantised("x"), dequantised("w"),
        helper.make_node("ConvTranspose", ["x_q", "w"], ["a"], "wide", strides=[3, 3],
                         output_padding=[1, 1], kernel_shape=[4, 4], pads=pads),
        *quantised("a", "zw", "t"),
    ]  # fmt: skip
    made = model(nodes, {"x": [2, 14, 2, 2]}, {"a_q": [2, 8, *size]},
                 {**CONSTANTS, **weights_of("w", 14, 8, 4, 4)})  # fmt: skip
    network = run(made, tmp_path / "m.onnx", TINY)
    assert sum(step.program is not None for step in network.steps) == 2


@pytest.mark.parametrize("cfg", [TINY, DEFAULT], ids=["tiny", "default"])
def test_a_kernel_of_several_convolutions(cfg, tmp_path):
    """By other strides it has other phases, and by other extents other windows."""
    nodes = [*quantised("x"), dequantised("w")]
    results = {}
    for number, (kind, stride) in enumerate(
        [("ConvTranspose", 1), ("ConvTranspose", 2), ("ConvTranspose", 3), ("Conv", 2), ("Conv", 1)]
    ):
        name = f"y{number}"
        nodes.append(helper.make_node(kind, ["x_q", "w"], [name], strides=[stride, stride]))
        nodes += quantised(name, "zw", "t")
        results[f"{name}_q"] = (
            [1, 3, 4 * stride + 3, 4 * stride + 3] if kind == "ConvTranspose"
            else [1, 3, 2 // stride + 1, 2 // stride + 1]
        )  # fmt: skip
    made = model(nodes, {"x": [1, 3, 5, 5]}, results,
                 {**CONSTANTS, **weights_of("w", 3, 3, 3, 3)})  # fmt: skip
    run(made, tmp_path / "m.onnx", cfg)


TAKEN = {
    "b_i": ("a_i.tiles", "a_i.plain", "a_i.windows", "a_i.padded", "wide:bias", "wide:data",
            "z.int8", "wide.bias", "a_i.part_0", "x_q.int8", "a_i.before", "x_i.plain", "x_i.int8"),
    "wide.pad": ("wide.im2col", "wide.part_0", "wide.join", "a_i.pack", "a_i.unpack"),
}  # fmt: skip
"""By the name of a tensor and of a node of the model below: names that passes like to use."""


@pytest.mark.parametrize("cfg", [TINY, DEFAULT], ids=["tiny", "default"])
@pytest.mark.parametrize(
    "ours, theirs", [(k, name) for k, names in TAKEN.items() for name in names]
)
def test_a_model_that_has_the_name(ours, theirs, cfg, tmp_path):
    nodes = [
        *quantised("x"), dequantised("w"), dequantised("v"),
        helper.make_node("Conv", ["x_q", "w"], ["a"], "wide", pads=[1, 0, 2, 1]),
        *quantised("a", "z", "t"),
        helper.make_node("Conv", ["a_q", "v"], ["b"], "wide.pad"),
        *quantised("b", "z", "t"),
        helper.make_node("Softmax", ["a_q"], ["r"], axis=1),
        *quantised("r", "z", "s"),
        helper.make_node("Concat", ["r_q", "b_q"], ["both"], axis=1),
    ]  # fmt: skip
    for made in nodes:
        for names in (made.input, made.output):
            names[:] = [theirs if name == ours else name for name in names]
        made.name = theirs if made.name == ours else made.name
    channels = 2 * (TINY.acc_depth // 4) * TINY.block_out + 5
    weights = {**CONSTANTS, **weights_of("w", channels, 2, 3, 3),
               **weights_of("v", channels, channels, 1, 1)}  # fmt: skip
    last = quantised("both", "z", "t")
    made = model([*nodes, *last], {"x": [1, 2, 4, 4]}, {"both_q": [1, 2 * channels, 5, 3]}, weights)
    run(made, tmp_path / "m.onnx", cfg)
