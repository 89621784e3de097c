"""Small networks from ONNX to the accelerator.

Each tensor equals that of the integer interpreter, and the result is that of onnxruntime but for
one step of rounding.
"""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.networks import differing, integer
from tests.support.onnx_models import by_onnxruntime, digits, inputs_of, quantised, residual
from vta import rpc
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.errors import NetworkError
from vta.network import JOIN
from vta.network_check import check_network
from vta.runtime.network import NetworkModule

MACHINES = {
    "default": VTAConfig(),
    "batch": VTAConfig(log_batch=1),
    "base": VTAConfig(extension=0),
    "narrow": VTAConfig(
        log_block=3, log_acc_buff_size=15, log_inp_buff_size=14, log_wgt_buff_size=17
    ),
}


@pytest.mark.parametrize("per_channel", [True, False], ids=["channel", "tensor"])
@pytest.mark.parametrize("symmetric", [True, False], ids=["s8", "u8"])
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("build", [digits, residual])
def test_on_the_model(tmp_path, build, machine, symmetric, per_channel):
    path = quantised(build(), tmp_path, symmetric=symmetric, per_channel=per_channel)
    cfg = MACHINES[machine].replace(target="sim")
    graph = integer(path, one_pass=bool(cfg.extension))
    network = compile_network(graph, cfg)
    inputs = inputs_of(build(), 100)
    wrong, ran = differing(graph, NetworkModule(network, rpc.LocalSession(cfg).ext_dev(0)), inputs)
    assert not wrong
    if machine == "default":
        (got,), (want,) = ran.outputs.values(), by_onnxruntime(path, inputs).values()
        if build is digits:  # the output is a stored integer times a scale
            scale = next(
                tensor.quantisation.scale for tensor in graph.tensors.values()
                if tensor.name == graph.producers()["y"].inputs[0]
            )  # fmt: skip
            assert np.abs(got - want).max() <= 1.001 * scale
        else:
            np.testing.assert_allclose(got, want, atol=0.05)


def test_on_the_rtl(tmp_path):
    path = quantised(digits(size=8), tmp_path)
    graph, cfg = integer(path), VTAConfig(target="tsim")
    session = rpc.LocalSession(cfg)
    module = NetworkModule(compile_network(graph, cfg), session.ext_dev(0))
    wrong, ran = differing(graph, module, inputs_of(digits(size=8), 5))
    assert not wrong
    assert ran.cycles == sum(layer.cycles for layer in ran.layers if layer.cycles is not None) > 0
    session.close()


def test_a_quantised_rectifier_costs_nothing(tmp_path):
    """It is quantised twice in the file, before and after, with the same scale."""
    graph = integer(quantised(digits(), tmp_path))
    operators = [node.operator for node in graph.nodes]
    assert operators == [
        "quantize", "conv2d", "max_pool", "conv2d", "max_pool", "dense", "dequantize",
    ]  # fmt: skip
    assert [node.integer("low") for node in graph.nodes if node.operator == "conv2d"] == [0, 0]
    assert {"r1_QuantizeLinear_Output", "p1_QuantizeLinear_Output"} <= set(graph.tensors)


def test_a_depthwise_convolution_and_a_sum_run_on_the_accelerator(tmp_path):
    network = compile_network(integer(quantised(residual(), tmp_path)), VTAConfig())
    on_host = {step.operator for step in network.host_steps}
    assert on_host == {"quantize", "pack", "concat", "unpack", "dequantize", "softmax"}


def test_a_concatenation_of_whole_tiles_moves_nothing(tmp_path):
    graph = integer(quantised(residual(channels=16), tmp_path))
    cfg = VTAConfig(target="sim")
    network = compile_network(graph, cfg)
    (join,) = (step for step in network.steps if step.operator == JOIN)
    assert join.where == "memory"
    places = [network.tensors[name].offset for name in (join.output, *join.inputs)]
    assert places == [places[0], places[0], places[0] + network.tensors[join.inputs[0]].nbytes]
    check_network(network)
    module = NetworkModule(network, rpc.LocalSession(cfg).ext_dev(0))
    wrong, ran = differing(graph, module, inputs_of(residual(channels=16), 2))
    assert not wrong
    assert join.output not in {layer.step.output for layer in ran.layers if layer.result}


@pytest.mark.parametrize("wrong", [{"offset": 0}, {"offset": None}, {"nbytes": 16}])
def test_a_join_of_tensors_elsewhere_is_refused(tmp_path, wrong):
    graph = integer(quantised(residual(channels=16), tmp_path))
    network = compile_network(graph, VTAConfig())
    (join,) = (step for step in network.steps if step.operator == JOIN)
    moved = network.tensors[join.inputs[1]]
    if "nbytes" in wrong:
        steps = [
            replace(step, inputs=step.inputs[:1]) if step is join else step
            for step in network.steps
        ]
        hostile = replace(network, steps=tuple(steps))
    else:
        tensors = {**network.tensors, moved.name: replace(moved, **wrong)}
        hostile = replace(network, tensors=tensors)
    with pytest.raises(NetworkError, match=f"step {join.name}: |step .*: tensor "):
        check_network(hostile)
