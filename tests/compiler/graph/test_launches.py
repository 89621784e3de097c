"""Programs of nodes joined to one: the results of separate programs, no race, fewer cycles."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import helper

from tests.support.networks import differing, integer
from tests.support.onnx_models import digits, inputs_of, model, quantised, residual
from vta import rpc
from vta.check import check_program
from vta.compiler.codegen.dependences import Access
from vta.compiler.codegen.join_programs import _ArenaStream
from vta.compiler.graph.compile_network import compile_network
from vta.compiler.graph.interpreter import interpret
from vta.config import VTAConfig
from vta.errors import NetworkError
from vta.isa import Load
from vta.network import JOIN, LAUNCH
from vta.network_check import check_network
from vta.network_file import network_bytes, network_from_bytes
from vta.runtime.network import NetworkModule

NETWORKS = {
    "digits": lambda: digits(size=8),
    "residual": lambda: residual(channels=16),
    "concatenation on the host": lambda: residual(channels=20),
}


def built(name, folder, cfg):
    graph = integer(quantised(NETWORKS[name](), folder))
    return graph, compile_network(graph, cfg, join_programs=True)


def launched(network):
    return [step for step in network.steps if step.operator == LAUNCH]


@pytest.mark.parametrize("name", NETWORKS)
def test_results_and_order(name, tmp_path):
    cfg = VTAConfig(target="sim")
    graph, network = built(name, tmp_path, cfg)
    for step in launched(network):
        report = check_program(step.program)
        assert report.ok, report
    assert network_bytes(network_from_bytes(network_bytes(network))) == network_bytes(network)
    module = NetworkModule(network, rpc.LocalSession(cfg).ext_dev(0))
    for seed in (1, 2):  # the second run finds what the first has left in memory
        inputs = inputs_of(NETWORKS[name](), seed)
        wanted = interpret(graph, inputs)
        for output, values in module.run(inputs).outputs.items():
            np.testing.assert_array_equal(values, wanted[output])


def test_one_launch_has_every_program(tmp_path):
    _, network = built("residual", tmp_path, VTAConfig())
    separate = compile_network(integer(tmp_path / "int8.onnx"), VTAConfig())
    (launch,) = launched(network)
    programs = [step for step in separate.steps if step.program is not None]
    assert [step.operator for step in network.steps if step.program is not None] == [LAUNCH]
    assert launch.products == sum(step.products for step in programs)
    assert launch.program.dram_bytes == sum(step.program.dram_bytes for step in programs)
    (concatenation,) = (step for step in separate.steps if step.operator == JOIN)
    assert {*(step.output for step in programs), concatenation.output} == {
        launch.output, *launch.inner,
    }  # fmt: skip


def test_instructions_of_a_launch_name_their_nodes(tmp_path):
    """Also in the file of the network."""
    _, network = built("residual", tmp_path, VTAConfig())
    separate = compile_network(integer(tmp_path / "int8.onnx"), VTAConfig())
    (launch,) = launched(network_from_bytes(network_bytes(network)))
    sources = [launch.program.sources.of(n) for n in range(launch.program.instruction_count)]
    layers = dict.fromkeys(source.layer for source in sources if source is not None)
    steps = {step.name: step.program for step in separate.steps if step.program is not None}
    assert list(layers) == list(steps)
    for name, program in steps.items():
        assert {
            (s.stage, s.line, s.text) for s in sources if s is not None and s.layer == name
        } == {(s.stage, s.line, s.text) for s in program.sources.table}


def test_a_step_of_the_host_separates_launches(tmp_path):
    _, network = built("concatenation on the host", tmp_path, VTAConfig())
    programs = [step.where for step in network.steps]
    first, last = programs.index("accelerator"), len(programs) - programs[::-1].index("accelerator")
    assert "host" in programs[first:last]


def test_steps_of_the_host_are_moved_apart(tmp_path):
    """Two inputs that are quantised, and results that are outputs and go on: still one launch."""
    rng = np.random.default_rng(0)
    weights = {f"w{n}": rng.normal(0, 0.2, (16, 16, 3, 3)).astype(np.float32) for n in range(4)}
    node, pads = helper.make_node, [1, 1, 1, 1]
    nodes = [
        node("Conv", ["x", "w0"], ["a"], "conv0", pads=pads),
        node("Conv", ["z", "w1"], ["b"], "conv1", pads=pads),
        node("Add", ["a", "b"], ["s"], "add"),
        node("Conv", ["s", "w2"], ["c"], "conv2", pads=pads),
        node("Conv", ["c", "w3"], ["d"], "conv3", pads=pads),
        node("Concat", ["d", "s"], ["j"], "concat", axis=1),
        node("MaxPool", ["j"], ["y"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    image = [1, 16, 8, 8]
    outputs = {"y": [1, 32, 4, 4], "c": image, "s": image}
    made = model(nodes, {"x": image, "z": image}, outputs, weights)
    graph, cfg = integer(quantised(made, tmp_path)), VTAConfig(target="sim")
    network = compile_network(graph, cfg, join_programs=True)
    check_network(network)
    (launch,) = (step for step in network.steps if step.program is not None)
    assert check_program(launch.program).ok
    inputs = inputs_of(made, 3)
    wanted = interpret(graph, inputs)
    found = NetworkModule(network, rpc.LocalSession(cfg).ext_dev(0))(inputs)
    assert list(found) == list(outputs)
    for name, values in found.items():
        np.testing.assert_array_equal(values, wanted[name])


def test_the_rtl_takes_fewer_cycles(tmp_path):
    cfg = VTAConfig(target="tsim")
    graph, network = built("digits", tmp_path, cfg)
    session = rpc.LocalSession(cfg)
    device, inputs = session.ext_dev(0), inputs_of(digits(size=8), 5)
    wrong, separate = differing(graph, NetworkModule(compile_network(graph, cfg), device), inputs)
    together = NetworkModule(network, device).run(inputs)
    session.close()
    assert not wrong
    np.testing.assert_array_equal(together.outputs["y"], separate.outputs["y"])
    assert together.cycles < separate.cycles


def test_without_hazards_in_dram_there_is_a_race(tmp_path, monkeypatch):
    """The checker that accepts joined programs sees a load in front of the store that it needs."""

    def apart(self, insn, argument):
        return Access(self._arena, slice(0, 0), not isinstance(insn, Load))

    monkeypatch.setattr(_ArenaStream, "_in_dram", apart)
    _, network = built("digits", tmp_path, VTAConfig())
    (launch,) = launched(network)
    assert not check_program(launch.program).ok


def _with(step, network):
    steps = [step if other.operator == LAUNCH else other for other in network.steps]
    return replace(network, steps=tuple(steps))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda step, net: _with(replace(step, program=None), net), "must have a program"),
        (
            lambda step, net: replace(net, arena=max(
                tensor.offset + tensor.nbytes
                for tensor in net.tensors.values() if tensor.offset is not None
            ) - 1),
            "must lie in the arena of",
        ),
        (
            lambda step, net: replace(net, arena=net.arena - 4096),
            "must (be one, in|lie in) the arena of",
        ),
        (
            lambda step, net: _with(replace(step, inner=(*step.inner, step.output)), net),
            "again, or no tensor",
        ),
        (
            lambda step, net: replace(net, tensors={
                **net.tensors, step.output: replace(net.tensors[step.output], offset=None),
            }),
            "does not lie in the arena",
        ),
        (
            lambda step, net: _with(replace(step, operator="conv2d"), net),
            "has inner tensors; must be a launch",
        ),
    ],
)  # fmt: skip
def test_a_damaged_launch_is_refused(change, said, tmp_path):
    _, network = built("digits", tmp_path, VTAConfig())
    (step,) = launched(network)
    with pytest.raises(NetworkError, match=said):
        check_network(change(step, network))
