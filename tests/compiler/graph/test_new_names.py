"""What passes add gets names of its own, whatever the model calls what they fuse away.

The same model is compiled with its own names, and with one of them replaced by a name that a pass
made: all graphs are the same but for names, a name of the file stays with what it named, and no
name comes back for something else.
"""

import numpy as np
import onnx
import pytest
from onnx import helper

from tests.support.onnx_models import model
from vta.compiler.frontend.onnx_import import import_onnx
from vta.compiler.graph.names import NewNames
from vta.compiler.graph.pipeline import MACHINE_PASSES, integer_graph
from vta.config import VTAConfig

MACHINES = {
    "tiny": VTAConfig.preset("tiny").replace(target="sim"), "default": VTAConfig(target="sim"),
}  # fmt: skip
CONSTANTS = {"s": np.float32(0.02), "z": np.uint8(120), "t": np.float32(0.1), "zw": np.int8(0)}


def quantised(name, zero="z", scale="s"):
    return [
        helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_i"], f"quantize {name}"),
        helper.make_node("DequantizeLinear", [f"{name}_i", scale, zero], [f"{name}_q"]),
    ]


def weights(*names):
    return [helper.make_node("DequantizeLinear", [f"{n}_i", f"{n}_s", "zw"], [n]) for n in names]


def stored(name, *shape):
    values = np.random.default_rng(len(name)).integers(-90, 90, shape).astype(np.int8)
    return {f"{name}_i": values, f"{name}_s": np.float32(0.004)}


def convolutions():
    """Padding, few channels, many channels, a sum, a transposed convolution, steps of the host."""
    wide = 2 * (MACHINES["tiny"].acc_depth // 4) * MACHINES["tiny"].block_out + 5
    nodes = [
        *quantised("x"), *weights("w", "v", "u", "p"),
        helper.make_node("Conv", ["x_q", "w"], ["a"], "first", pads=[1, 0, 2, 1]),
        *quantised("a", "z", "t"),
        helper.make_node("Conv", ["a_q", "v"], ["b"], "second"),
        *quantised("b", "z", "t"),
        helper.make_node("Conv", ["b_q", "p"], ["c"], "third"),
        *quantised("c", "z", "t"),
        helper.make_node("Add", ["c_q", "b_q"], ["d"], "sum"),
        *quantised("d", "z", "t"),
        helper.make_node("Sigmoid", ["d_q"], ["e"], "sigmoid"),
        *quantised("e"),
        helper.make_node("Softmax", ["e_q"], ["f"], "softmax", axis=1),
        *quantised("f", "z", "s"),
        helper.make_node("Concat", ["f_q", "d_q"], ["g"], "both", axis=1),
        *quantised("g", "z", "t"),
        helper.make_node("ConvTranspose", ["b_q", "u"], ["h"], "up", strides=[2, 2],
                         pads=[0, 1, 1, 1], output_padding=[1, 1]),
        *quantised("h", "zw", "t"),
        helper.make_node("Relu", ["h_q"], ["nothing"], "dead"),
    ]  # fmt: skip
    values = {**stored("w", wide, 2, 3, 3), **stored("v", 8, wide, 1, 1), **stored("p", 8, 8, 1, 1),
              **stored("u", 8, 3, 3, 3)}  # fmt: skip
    return model(nodes, {"x": [1, 2, 4, 4]}, {"g_q": [1, 16, 5, 3], "h_q": [1, 3, 11, 6]},
                 {**CONSTANTS, **values})  # fmt: skip


def matrices():
    """Products of activations, a flattened image, sums that are not quantised, limits and norms."""
    nodes = [
        *quantised("x"), *weights("w", "v"),
        helper.make_node("MatMul", ["x_q", "x_q"], ["a"], "square"),
        *quantised("a", "z", "t"),
        helper.make_node("GroupNormalization", ["a_q", "one", "one"], ["n"], "norm", num_groups=2),
        helper.make_node("Mul", ["n", "n"], ["n2"], "twice"),
        helper.make_node("Clip", ["n2", "low", "high"], ["c"], "limit"),
        *quantised("c", "z", "t"),
        helper.make_node("Transpose", ["c_q"], ["turned"], "turn", perm=[0, 2, 3, 1]),
        *quantised("turned", "z", "t"),
        helper.make_node("Reshape", ["turned_q", "flat"], ["r"], "flatten"),
        *quantised("r", "z", "t"),
        helper.make_node("Gemm", ["r_q", "w"], ["d"], "layer", transB=1),
        *quantised("d", "z", "t"),
        helper.make_node("Gemm", ["d_q", "v"], ["y"], "last", transB=1),
        helper.make_node("LogSoftmax", ["y"], ["l"], "classes"),
        helper.make_node("Relu", ["y"], ["nothing"], "dead"),
    ]  # fmt: skip
    values = {
        **stored("w", 12, 64),
        **stored("v", 5, 12),
        "flat": np.array([1, 64]),
        "one": np.ones(4, np.float32),
        "low": np.float32(-1),
        "high": np.float32(2),
    }
    return model(nodes, {"x": [1, 4, 4, 4]}, {"l": [1, 5]}, {**CONSTANTS, **values}, opset=21)


MODELS = {"convolutions": convolutions, "matrices": matrices}


def stages(made, folder, cfg):
    """The imported graph, and that after each pass."""
    path = folder / "m.onnx"
    onnx.save(made, path)
    found = [import_onnx(path)]
    graph = integer_graph(
        found[0], one_pass=cfg is MACHINES["default"], observe=lambda graph, _: found.append(graph)
    )
    for rewrite in MACHINE_PASSES.values():
        graph = rewrite(graph, cfg)
        found.append(graph)
    return found


def names_of(made):
    """The tensors and the nodes of a file."""
    tensors = {name for node in made.graph.node for name in (*node.input, *node.output)}
    return tensors | {value.name for value in made.graph.initializer}, {
        node.name or f"{node.op_type}_{node.output[0]}" for node in made.graph.node
    }


def renamed(made, ours, theirs, kind):
    copy = onnx.ModelProto()
    copy.CopyFrom(made)
    for node in copy.graph.node:
        if kind == "nodes":
            node.name = theirs if node.name == ours else node.name
        else:
            for names in (node.input, node.output):
                names[:] = [theirs if name == ours else name for name in names]
    return copy


def same(before, after):
    """The tensors and the nodes of ``after`` by those of ``before``, over all stages."""
    tensors, nodes = {}, {}
    for one, other in zip(before, after, strict=True):
        assert len(one.nodes) == len(other.nodes)
        for a, b in zip(one.nodes, other.nodes):
            assert a.operator == b.operator and len(a.inputs) == len(b.inputs)
            assert nodes.setdefault(a.name, b.name) == b.name
            for name, now in zip((*a.inputs, *a.outputs), (*b.inputs, *b.outputs)):
                assert tensors.setdefault(name, now) == now
                assert one[name].shape == other[now].shape
        assert len(one.tensors) == len(other.tensors)
    for name, now in tensors.items():
        for one, other in zip(before, after):
            if name in one.tensors and one[name].is_constant:
                np.testing.assert_array_equal(one[name].values, other[now].values)
    assert len(set(tensors.values())) == len(tensors)
    assert len(set(nodes.values())) == len(nodes)
    return tensors, nodes


def none_comes_back(graphs, tensors, nodes):
    """A name that a graph has not stays unused in those that follow."""
    for names, of in (
        (set(tensors), lambda graph: set(graph.tensors)),
        (set(nodes), lambda graph: {node.name for node in graph.nodes}),
    ):
        present = of(graphs[0])
        for graph in graphs[1:]:
            names |= present
            now = of(graph)
            assert not (now - present) & names
            present = now


@pytest.mark.parametrize("cfg", MACHINES.values(), ids=list(MACHINES))
@pytest.mark.parametrize("what", list(MODELS))
def test_every_name_that_a_pass_makes(what, cfg, tmp_path):
    made = MODELS[what]()
    file = dict(zip(("tensors", "nodes"), names_of(made)))
    base = stages(made, tmp_path, cfg)
    none_comes_back(base, *file.values())
    have = {
        "tensors": [set(graph.tensors) for graph in base],
        "nodes": [{node.name for node in graph.nodes} for graph in base],
    }
    victims = {
        "tensors": sorted(file["tensors"] - have["tensors"][-1] - {"x"}),
        "nodes": sorted(file["nodes"] - have["nodes"][-1]),
    }
    initial = {value.name for value in made.graph.initializer}
    results = {value.name for value in made.graph.output}
    assert len(victims["tensors"]) > 5 and len(victims["nodes"]) > 5
    tried = 0
    for kind, graphs in have.items():
        used = [v for v in victims[kind] if v not in initial | results and v != "nothing"]
        if kind == "nodes":
            used = [v for v in used if any(node.name == v for node in made.graph.node)]
        for number, theirs in enumerate(sorted(set.union(*graphs) - file[kind])):
            dead = "dead" if kind == "nodes" else "nothing"
            for ours in (dead,) if number % 4 == 3 else (used[number % len(used)],):
                other = renamed(made, ours, theirs, kind)
                after = stages(other, tmp_path, cfg)
                none_comes_back(after, *names_of(other))
                maps = dict(zip(("tensors", "nodes"), same(base, after)))
                for name, now in maps[kind].items():
                    if name in file[kind]:
                        assert now == (theirs if name == ours else name)
                tried += 1
    assert tried > 20


@pytest.mark.parametrize("cfg", MACHINES.values(), ids=list(MACHINES))
@pytest.mark.parametrize("what", list(MODELS))
def test_every_node_knows_its_origin(what, cfg, tmp_path):
    """Errors name nodes of the file by it."""
    made = MODELS[what]()
    labels = {
        f"{node.name or f'{node.op_type}_{node.output[0]}'} ({node.op_type})"
        for node in made.graph.node
    }
    found = set()
    for graph in stages(made, tmp_path, cfg):
        for node in graph.nodes:
            assert set(node.label.split(" and ")) <= labels, node.name
            found |= set(node.label.split(" and "))
    assert len(found) > 15
    assert all(label[:5] in ("Dequa", "dead ") for label in labels - found)


def test_numbers():
    names = NewNames({"a", "a.2"}, {"n"})
    assert [names.tensor("a"), names.tensor("a"), names.tensor("b"), names.tensor("b")] == [
        "a.3", "a.4", "b", "b.2",
    ]  # fmt: skip
    assert [names.node("n"), names.node("a"), names.node("a")] == ["n.2", "a", "a.2"]
