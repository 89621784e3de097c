"""Products with more channels than a program takes are several, joined; the machine is tiny."""

import numpy as np
import pytest
from onnx import helper

from tests.compiler.graph.test_pointwise import int8
from tests.support.networks import differing, integer
from tests.support.onnx_models import inputs_of, model
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.network_check import check_network
from vta.runtime.network import NetworkModule

TINY = VTAConfig.preset("tiny")
CHANNELS = 2 * (TINY.acc_depth // 4) * TINY.block_out + 5


@pytest.mark.parametrize("symmetric", [False, True], ids=["uint8", "int8"])
@pytest.mark.parametrize("kind", ["Conv", "Gemm"])
def test_parts(kind, symmetric, tmp_path):
    rng = np.random.default_rng(0)
    shape = [1, 6, 3, 2] if kind == "Conv" else [3, 6]
    weights = {"w": rng.normal(0, 1, (CHANNELS, 6, 1, 1)[: len(shape)]).astype(np.float32),
               "b": rng.normal(0, 1, CHANNELS).astype(np.float32)}  # fmt: skip
    more = {"transB": 1} if kind == "Gemm" else {}
    nodes = [helper.make_node(kind, ["x", "w", "b"], ["y"], "wide", **more)]
    made = model(nodes, {"x": shape}, {"y": [shape[0], CHANNELS, *shape[2:]]}, weights)
    graph = integer(int8(made, tmp_path, symmetric=symmetric))
    network = compile_network(graph, TINY)
    check_network(network)
    assert [step.name for step in network.steps if step.program is not None] == [
        "wide.part_0", "wide.part_1", "wide.part_2",
    ]  # fmt: skip
    module = NetworkModule(network, rpc.LocalSession(TINY.replace(target="sim")).ext_dev(0))
    wrong, ran = differing(graph, module, inputs_of(made, 4))
    assert not wrong
    assert len(np.unique(ran.outputs["y"])) > 50
