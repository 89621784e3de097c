"""Small ONNX models that read sequences: integer inputs, attention, a mask."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node
TYPES = {
    "float32": TensorProto.FLOAT, "int64": TensorProto.INT64, "int32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
}  # fmt: skip


def model(nodes, inputs, constants=(), *, outputs=("y",), opset=17):
    """A model; ``inputs`` are arrays by name, whose types and shapes are taken."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "sequence",
        [value(name, TYPES[x.dtype.name], x.shape) for name, x in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in dict(constants).items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    inferred = onnx.shape_inference.infer_shapes(made)
    onnx.checker.check_model(inferred, full_check=True)
    return inferred


def encoder(seed=0):
    """One layer of attention with a mask, and a feed-forward part, of words of width 16."""
    rng = np.random.default_rng(seed)

    def normal(scale, *shape):
        return rng.normal(0, scale, shape).astype(np.float32)

    nodes = [
        node("Gather", ["table", "ids"], ["e"], "embed"),
        node("MatMul", ["e", "wq"], ["q"], "query"),
        node("MatMul", ["e", "wk"], ["k"], "key"),
        node("MatMul", ["e", "wv"], ["v"], "value"),
        node("Transpose", ["k"], ["kt"], "turn", perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["s"], "scores"),
        node("Cast", ["mask"], ["m"], "cast", to=TensorProto.FLOAT),
        node("Sub", ["one", "m"], ["p"], "padding"),
        node("Mul", ["p", "low"], ["pl"], "penalty"),
        node("Add", ["s", "pl"], ["sm"], "masked"),
        node("Softmax", ["sm"], ["a"], "softmax"),
        node("MatMul", ["a", "v"], ["o"], "mixed"),
        node("MatMul", ["o", "w1"], ["hp"], "wide"),
        node("Add", ["hp", "b1"], ["h"], "bias"),
        node("Gelu", ["h"], ["g"], "gelu"),
        node("MatMul", ["g", "w2"], ["n"], "narrow"),
        node("Add", ["n", "e"], ["r"], "residual"),
        node("LayerNormalization", ["r", "scale"], ["y"], "norm"),
    ]
    constants = {
        "table": normal(1, 30, 16), "wq": normal(0.2, 16, 16), "wk": normal(0.2, 16, 16),
        "wv": normal(0.3, 16, 16), "w1": normal(0.3, 16, 40), "b1": normal(0.5, 40),
        "w2": normal(0.2, 40, 16), "one": np.float32(1), "low": np.float32(-10000),
        "scale": normal(1, 16),
    }  # fmt: skip
    inputs = {"ids": np.zeros((1, 6), np.int64), "mask": np.zeros((1, 6), np.int64)}
    return model(nodes, inputs, constants, opset=20)


def words(seed):
    rng = np.random.default_rng(seed)
    mask = (np.arange(6) < rng.integers(2, 7)).astype(np.int64)[None]
    return {"ids": rng.integers(0, 30, (1, 6)) * mask, "mask": mask}
