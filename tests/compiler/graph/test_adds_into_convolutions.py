"""Sums that become part of a convolution: which, and the results of the interpreter."""

import numpy as np
import pytest
from onnx import helper

from tests.support.networks import differing, integer
from tests.support.onnx_models import inputs_of, model, quantised
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.compiler.graph.interpreter import interpret
from vta.compiler.graph.passes.adds_into_convolutions import adds_into_convolutions
from vta.compiler.graph.verify import verify_graph
from vta.config import VTAConfig
from vta.runtime.network import NetworkModule

CFG = VTAConfig(target="sim")


def made(*, swapped=False, read_twice=False, channels=20):
    """``y = conv(x) + shortcut(x)``; the results of both are quantised."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(0, 0.2, (channels, 16, 3, 3)).astype(np.float32),
        "v": rng.normal(0, 0.3, (channels, 16, 1, 1)).astype(np.float32),
    }
    pads = [1] * 4
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "main", pads=pads),
        helper.make_node("Conv", ["x", "v"], ["s"], "shortcut"),
        helper.make_node("Add", ["s", "c"] if swapped else ["c", "s"], ["a"], "sum"),
        helper.make_node("Relu", ["a"], ["y"], "relu"),
    ]
    outputs = {"y": [1, channels, 7, 7]}
    if read_twice:
        nodes.append(helper.make_node("MaxPool", ["c"], ["p"], "pool", kernel_shape=[2, 2]))
        nodes.append(helper.make_node("MaxPool", ["s"], ["q"], "pool2", kernel_shape=[2, 2]))
        outputs |= {"p": [1, channels, 6, 6], "q": [1, channels, 6, 6]}
    return model(nodes, {"x": [1, 16, 7, 7]}, outputs, weights)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_convolution_with_more_products_takes_the_sum(swapped, tmp_path):
    source = made(swapped=swapped)
    graph = integer(quantised(source, tmp_path))
    fused = adds_into_convolutions(graph, CFG)
    verify_graph(fused)
    (node,) = (node for node in fused.nodes if node.operator == "conv2d_add")
    assert node.name == "main + sum"
    assert [n.name for n in fused.nodes if n.operator == "conv2d"] == ["shortcut"]
    network = compile_network(graph, CFG)
    assert "main + sum" in [step.name for step in network.steps]
    module = NetworkModule(network, rpc.LocalSession(CFG).ext_dev(0))
    for seed in (1, 2):
        inputs = inputs_of(source, seed)
        wanted, again = interpret(graph, inputs), interpret(fused, inputs)
        for name in fused.tensors:
            np.testing.assert_array_equal(again[name], wanted[name])
        wrong, _ = differing(graph, module, inputs)
        assert not wrong


def test_what_stays_apart(tmp_path):
    graph = integer(quantised(made(read_twice=True), tmp_path))
    assert adds_into_convolutions(graph, CFG).nodes == graph.nodes  # both results are read again

    graph = integer(quantised(made(), tmp_path), one_pass=False)
    base = CFG.replace(extension=0)
    assert adds_into_convolutions(graph, base).nodes == graph.nodes


def test_where_the_accumulators_are_too_small(tmp_path):
    """Room for the constants of the channels and a tile, not for tiles of both tensors."""
    graph = integer(quantised(made(channels=40), tmp_path))
    small = CFG.replace(log_acc_buff_size=9)  # eight tiles, of which the constants take six
    assert adds_into_convolutions(graph, small).nodes == graph.nodes
