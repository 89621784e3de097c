"""The workloads of a model are those that its compiler asks a log of schedules for."""

from collections import Counter

import pytest

from tests.support.onnx_models import digits, quantised, residual
from vta.compiler.frontend.onnx_import import import_model
from vta.compiler.frontend.onnx_model import read_model
from vta.compiler.graph.compile_network import compile_network
from vta.compiler.graph.pipeline import integer_graph
from vta.compiler.ops.requantise import one_pass_on
from vta.config import PRESETS, VTAConfig
from vta.tuning.model_workloads import model_workloads
from vta.tuning.workload import Workload


@pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "zero point"])
@pytest.mark.parametrize("made", [digits(size=8), residual()], ids=["digits", "residual"])
def test_the_compiler_asks_for_what_the_search_finds(made, symmetric, tmp_path):
    # A zero point makes padding a node of its own; machines with the extension load it, others
    # pad on the host. An addition joins its convolution on machines with the extension only.
    path = quantised(made, tmp_path, symmetric=symmetric)
    for name in PRESETS:
        cfg = VTAConfig.preset(name)
        asked: Counter[Workload | None] = Counter()

        def ask(shape, requantise, cfg, added, asked=asked):
            asked[Workload.of(shape, requantise, added)] += 1

        graph = import_model(read_model(path), "model", None)
        compile_network(integer_graph(graph, one_pass=one_pass_on(cfg)), cfg, tilings=ask)
        assert asked and asked == model_workloads(path, cfg), name
