"""Slices of all kinds, of stored and of real tensors, as onnxruntime."""

import numpy as np
import pytest
from onnx import helper

from tests.compiler.graph.test_pointwise import int8, run, stored_steps
from tests.support.networks import integer
from tests.support.onnx_models import inputs_of, model
from vta.errors import NetworkError
from vta.host_operators import run_host_operator

LAST = np.iinfo(np.int64).max

#: starts, ends, axes, steps; None: left out.
CASES = [
    ([2], [9], [1], None),
    ([1, 0], [4, 2], None, None),
    ([-3, 1], [LAST, -1], [-1, 1], [1, 2]),
    ([LAST, 5], [-LAST, 0], [1, 2], [-1, -2]),
    ([0], [1], [0], [1]),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_slices(case, tmp_path):
    rng = np.random.default_rng(case)
    weights = {"w": rng.normal(0, 1, (11, 3, 1, 1)).astype(np.float32)}
    names = ["a"]
    for what, values in zip(("starts", "ends", "axes", "steps"), CASES[case]):
        names.append("" if values is None else what)
        if values is not None:
            weights[what] = np.array(values, np.int64)
    place = [slice(None)] * 4
    starts, ends, axes, steps = CASES[case]
    for axis, start, end, step in zip(axes or range(4), starts, ends, steps or [1] * 4):
        place[axis] = slice(start, None if end == -LAST else end, step)
    if case == 1:
        place[0] = slice(0, 1)  # starts at 1 of one image would be empty
        weights["starts"][0], weights["ends"][0] = 0, 1
    shape = np.zeros((1, 11, 6, 5))[tuple(place)].shape
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("Slice", names, ["y"], "slice"),
    ]
    made = model(nodes, {"x": [1, 3, 6, 5]}, {"y": list(shape)}, weights)
    path = int8(made, tmp_path)
    ran = run(integer(path), inputs := inputs_of(made, 7))
    assert ran.outputs["y"].shape == shape
    assert stored_steps(path, inputs, ran, "y", scaled="a") <= 1.01


def test_elements_that_are_not_there():
    whole = {"begins": (0, 1), "counts": (2, 3), "steps": (1, 1)}
    data = np.arange(6).reshape(2, 3)
    with pytest.raises(NetworkError, match="host operator slice"):
        run_host_operator("slice", [data], whole)
    got = run_host_operator("slice", [data], {**whole, "begins": (0, 2), "steps": (1, -1)})
    np.testing.assert_array_equal(got, data[:, ::-1])


def test_copies_along_axes(tmp_path):
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(0, 1, (11, 3, 1, 1)).astype(np.float32),
               "shape": np.array([2, 1, 3, 5], np.int64)}  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("Expand", ["a", "shape"], ["y"], "expand"),
    ]
    made = model(nodes, {"x": [1, 3, 1, 5]}, {"y": [2, 11, 3, 5]}, weights)
    path = int8(made, tmp_path)
    ran = run(integer(path), inputs := inputs_of(made, 7))
    assert ran.outputs["y"].shape == (2, 11, 3, 5)
    assert stored_steps(path, inputs, ran, "y", scaled="a") <= 1.01
