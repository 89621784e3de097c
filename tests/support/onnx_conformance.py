"""The conformance cases of the package onnx: as they are, and quantised.

Most cases are in real numbers, which the machine does not compute with. A case of a supported
operator is therefore quantised, with the ranges of its own data.
"""

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

from tests.support.onnx_models import by_onnxruntime
from vta import rpc
from vta.compiler.frontend.onnx_import import import_onnx
from vta.compiler.graph.compile_network import compile_network
from vta.compiler.graph.pipeline import integer_graph
from vta.config import VTAConfig
from vta.errors import ModelError
from vta.runtime.network import NetworkModule

CONSTANTS = {"Conv": (1, 2), "Gemm": (1, 2), "MatMul": (1,), "Clip": (1, 2), "Reshape": (1,),
             "Dropout": (1, 2), "Squeeze": (1,), "Unsqueeze": (1,), "QLinearConv": range(1, 9),
             "QLinearMatMul": range(1, 8), "QuantizeLinear": (1, 2),
             "DequantizeLinear": (1, 2), "BatchNormalization": (1, 2, 3, 4),
             "GroupNormalization": (1, 2), "InstanceNormalization": (1, 2), "Pad": (1, 2, 3),
             "ReduceL2": (1,), "ReduceMax": (1,), "ReduceMean": (1,), "ReduceMin": (1,),
             "ReduceSum": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,),
             "Expand": (1,)}  # fmt: skip
"""Inputs that our operators need as constants; the cases feed them."""
MACHINE = VTAConfig(target="sim")


def cases():
    """The cases of single nodes: name, model, inputs and outputs by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    for case in found:
        made = case.model
        inputs, outputs = case.data_sets[0]
        yield (
            case.name, made, dict(zip([v.name for v in made.graph.input], inputs)),
            dict(zip([v.name for v in made.graph.output], outputs)),
        )  # fmt: skip


def constant_weights(made, inputs):
    """The case with its weights and parameters as constants, and its other inputs."""
    changed, left = onnx.ModelProto(), dict(inputs)
    changed.CopyFrom(made)
    for node in changed.graph.node:
        for index in CONSTANTS.get(node.op_type, ()):
            name = node.input[index] if index < len(node.input) else ""
            if isinstance(left.get(name), np.ndarray):
                values = left.pop(name)
                changed.graph.initializer.append(numpy_helper.from_array(values, name))
    kept = [value for value in changed.graph.input if value.name in left]
    del changed.graph.input[:]
    changed.graph.input.extend(kept)
    return changed, left


def outcome(path, inputs, wanted, most):
    """``passed``, ``refused`` or ``failed``, and why. ``most`` is the largest difference;
    None: a step of integers, the rounding of float32."""
    try:
        network = compile_network(integer_graph(import_onnx(path)), MACHINE)
    except ModelError as error:
        return "refused", str(error)
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    try:
        got = NetworkModule(network, rpc.LocalSession(MACHINE).ext_dev(0))(inputs)
        for name, values in wanted.items():
            if got[name].shape != values.shape or got[name].dtype != values.dtype:
                return "failed", f"{got[name].dtype} {got[name].shape}; wanted {values.shape}"
            near = most
            if most is None:
                near = 1e-5 * max(1, np.abs(values).max(initial=0)) if values.dtype == "f" else 1
            if np.abs(got[name].astype(np.float64) - values).max(initial=0) > near:
                return "failed", f"{got[name]} instead of {values}"
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    return "passed", ""


def as_they_are(folder):
    """Outcomes by name."""
    path, found = Path(folder) / "case.onnx", {}
    for name, made, inputs, wanted in cases():
        changed, left = constant_weights(made, inputs)
        onnx.save(changed, path)
        found[name] = outcome(path, left, wanted, None)
    return found


def in_int8(folder, operators):
    """Outcomes by name, of the cases of some operators in float32, quantised.

    The judge is onnxruntime on the same quantised model; its rounding may differ by one step.
    """
    found, path = {}, Path(folder) / "case.onnx"
    for name, made, inputs, wanted in cases():
        changed, left = constant_weights(made, inputs)
        values = [*left.values(), *wanted.values()]
        real = all(isinstance(v, np.ndarray) and v.dtype == np.float32 for v in values)
        if not {node.op_type for node in made.graph.node} <= operators or not real or not left:
            continue
        step = _in_qdq(changed, left, wanted)
        onnx.save(changed, path)
        try:
            wanted = by_onnxruntime(path, left)
        except Exception as error:  # cases that onnxruntime does not run
            found[name] = ("not run by onnxruntime", str(error))
            continue
        found[name] = outcome(path, left, wanted, 1.001 * step)
    return found


def _scale(values):
    """The scale of symmetric int8."""
    return np.float32(max(float(np.abs(values).max(initial=0)), 1e-3) / 127)


def _in_qdq(made, inputs, wanted):
    """Quantise a model of one operator: data, weights and results, in place. The largest scale of
    a result."""
    graph = made.graph
    names, before, after = {}, [], []

    def add(name, values):
        graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def stored(name, result, scale, nodes):
        parts = [add(f"{result}.scale", scale), add(f"{result}.zero", np.int8(0))]
        nodes.append(onnx.helper.make_node("QuantizeLinear", [name, *parts], [f"{result}.int8"]))
        nodes.append(
            onnx.helper.make_node("DequantizeLinear", [f"{result}.int8", *parts], [result])
        )

    for name, values in inputs.items():
        names[name] = f"{name}.real"
        stored(name, names[name], _scale(values), before)
    for node in graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            weights = next(item for item in graph.initializer if item.name == node.input[1])
            values, scale = numpy_helper.to_array(weights), _scale(numpy_helper.to_array(weights))
            integers = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
            names[weights.name] = f"{weights.name}.real"
            parts = [add(f"{weights.name}.int8", integers), add(f"{weights.name}.scale", scale)]
            before.append(onnx.helper.make_node("DequantizeLinear", parts, [names[weights.name]]))
    steps = [np.float32(0)]
    for name, values in wanted.items():
        names[name] = f"{name}.computed"
        steps.append(_scale(values))
        stored(names[name], name, steps[-1], after)
    nodes = list(graph.node)
    for node in nodes:
        for part in (node.input, node.output):
            part[:] = [names.get(name, name) for name in part]
    del graph.node[:]
    graph.node.extend([*before, *nodes, *after])
    return max(steps)


def table(found):
    """How many cases have which outcome."""
    return Counter(kind for kind, _ in found.values())
