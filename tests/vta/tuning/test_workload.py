"""Workloads as data, and their space of schedules."""

import json
from dataclasses import replace

import numpy as np
import pytest

from vta.compiler.ops import Tiling, WholeSums, conv2d, dense
from vta.compiler.ops.requantise import OnePass
from vta.compiler.ops.residual import Residual
from vta.compiler.ops.tiling_source import tilings_from
from vta.config import VTAConfig
from vta.errors import OperatorError, TuningError
from vta.memory_timing import MemoryTiming
from vta.tuning.evaluate import measure
from vta.tuning.space import Space
from vta.tuning.workload import Workload, inputs_of, parse_workload, recorded

TINY = VTAConfig.preset("tiny")
CALLS = (
    "conv2d((1, 8, 9, 9), 12, 3, padding=1, stride=2)",
    "conv2d((2, 16, 6, 6), 16, 3, groups=4, low=0)",
    "conv2d_transpose((1, 8, 4, 4), 4, 3, stride=2, padding=1, output_padding=1)",
    "dense((3, 16), 8)",
    "batch_matmul((2, 4, 8), (2, 8, 8))",
)


@pytest.mark.parametrize("cfg", [TINY, TINY.replace(extension=0)], ids=["extended", "base"])
@pytest.mark.parametrize("call", CALLS)
def test_a_workload_is_data(call, cfg):
    workload = parse_workload(call, cfg)
    again = Workload.from_dict(json.loads(json.dumps(workload.to_dict())))
    assert again.key == workload.key
    with recorded() as found:
        op = again.operator(cfg)
    assert [each.key for each in found] == [workload.key]  # the operator made of it has it
    assert (
        op.reference(*inputs_of(op, 1)).shape
        == op.unpack(np.zeros(op.args[-1].shape, np.int8)).shape
    )


def test_a_layer_that_stores_its_sums_is_a_workload():
    cfg = VTAConfig()
    with recorded() as found:
        made = dense((5, 70), 33, cfg=cfg, requantise=WholeSums())
    (workload,) = found
    again = Workload.from_dict(json.loads(json.dumps(workload.to_dict())))
    assert again.key == workload.key
    assert again.title(cfg) == "1x5x80-48, 1x1, whole sums"
    assert again.operator(cfg).args[-1].dtype == made.args[-1].dtype == "int32"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("conv3d((1, 8), 3)", "no operator with tilings; these have: conv2d"),
        ("model.onx", "neither a file nor a call with literals"),
        ("conv2d((1, 8, 8, 8), n, 3)", "neither a file nor a call with literals"),
        ("conv2d((1, 8, 8, 8))", "missing 2 required positional arguments"),
    ],
)
def test_text_that_is_no_operator(call, words):
    with pytest.raises(TuningError, match=words):
        parse_workload(call, TINY)


@pytest.mark.parametrize("values", [{}, [], None, {"shape": {}, "requantise": {"rule": "x"}}])
def test_data_that_is_no_workload(values):
    with pytest.raises(TuningError, match="no workload"):
        Workload.from_dict(values)


@pytest.mark.parametrize("part", [None, "shape", "requantise"])
def test_a_key_of_a_later_version_is_not_lost(part):
    values = parse_workload("dense((1, 8), 8)", TINY).to_dict()
    (values if part is None else values[part])["sparsity"] = 2
    with pytest.raises(TuningError, match="sparsity"):
        Workload.from_dict(values)
    values = parse_workload("dense((1, 8), 8)", TINY).to_dict()
    values["shape"]["window"]["sparsity"] = [2, 2]
    with pytest.raises(TuningError, match="sparsity"):
        Workload.from_dict(values)


def test_every_point_of_the_space_is_a_tiling_that_fits():
    workload = parse_workload(CALLS[0], TINY)
    space = Space(workload, TINY)
    rng = np.random.default_rng(0)
    for _ in range(50):
        tiling = space.tiling(lambda name: float(rng.random()))
        assert workload.operator(TINY, tiling).tiling == tiling  # refused if it does not fit
        point = space.point(tiling)
        assert space.tiling(point.__getitem__) == tiling
    for end in (0.0, 1.0):
        assert workload.operator(TINY, space.tiling(lambda name, end=end: end))


def test_a_neighbour_differs_little_and_fits():
    """One choice or two differ, and those that would not fit otherwise; each is a point."""
    for call in (CALLS[0], "conv2d((1, 8, 9, 9), 16, 1, stride=2)"):
        workload = parse_workload(call, TINY)
        space = Space(workload, TINY)
        rng = np.random.default_rng(0)
        tiling = workload.operator(TINY).tiling
        seen = set()
        for _ in range(60):
            tiling = space.neighbour(tiling, rng)
            assert workload.operator(TINY, tiling).tiling == tiling
            assert space.tiling(space.point(tiling).__getitem__) == tiling
            seen.add(tiling)
        assert len(seen) > 30
        for name in ("order", "outputs", "rows", "start_parts", "late_constants"):
            assert len({getattr(each, name) for each in seen}) > 1


def test_columns_are_skipped_only_where_no_window_reads_them():
    space = Space(parse_workload("conv2d((1, 8, 9, 9), 16, 1, stride=2)", TINY), TINY)
    skips = space.tiling(lambda name: 0.99)
    assert skips.skips_columns
    op = space.workload.operator(TINY, skips)
    assert tuple(op.stages["data_buf"].shape[2:4]) == (5, 5)
    other = parse_workload(CALLS[0], TINY)
    with pytest.raises(
        OperatorError, match="the tiling skips columns; only a kernel of one column"
    ):
        other.operator(TINY, replace(other.operator(TINY).tiling, skips_columns=True))


def test_promising_points_are_those_that_the_tiler_s_model_finds_best():
    space = Space(parse_workload(CALLS[0], TINY), TINY)
    points = space.promising(5, MemoryTiming.of("ddr"))
    assert len(points) == 5
    assert len({space.tiling(point.__getitem__) for point in points}) == 5


def test_a_tiling_is_data():
    tiling = Tiling(2, 1, 4, 1, "oy", 2, 1, 3, columns_first=True, start_parts=2)
    assert Tiling.from_dict(json.loads(json.dumps(tiling.to_dict()))) == tiling
    for wrong in (
        {"outputs": 0},
        {"order": "xy"},
        {"more": 1},
        {"columns_first": 2},
        {"start_steps": 0},
        {"images": 0},
        {"late_constants": 1},
    ):
        with pytest.raises(OperatorError, match=f"tiling: .*{next(iter(wrong))}"):
            Tiling.from_dict({**tiling.to_dict(), **wrong})
    older = {
        name: value
        for name, value in tiling.to_dict().items()
        if name not in ("start_parts", "start_steps", "late_constants", "skips_columns", "images")
    }
    assert Tiling.from_dict(older) == replace(tiling, start_parts=1)


def test_a_convolution_with_an_added_tensor_is_a_workload():
    """Its numbers make no other workload, so layers of a network share a schedule."""

    def made(residual):
        with recorded() as found:
            op = conv2d(
                (1, 8, 6, 6), 8, 3, cfg=TINY, requantise=OnePass(), padding=1, residual=residual
            )
        return op, found[0]

    op, workload = made(Residual((3, 5), 7, 4))
    assert workload.shape.added == 1 and workload.title(TINY).endswith(" + add")
    again = Workload.from_dict(json.loads(json.dumps(workload.to_dict())))
    assert again == workload and again.residual == workload.residual
    _, other = made(Residual((9, 2), 1, 4))
    assert other == workload and other.key == workload.key
    plain = parse_workload("conv2d((1, 8, 6, 6), 8, 3, padding=1)", TINY)
    assert plain.key != workload.key
    with pytest.raises(TuningError, match="shape and residual disagree"):
        Workload.from_dict({**workload.to_dict(), "residual": None})
    space = Space(workload, TINY)
    tiling = space.neighbour(op.tiling, np.random.default_rng(1))
    job = {"workload": workload.to_dict(), "tiling": tiling.to_dict(), "machine": TINY.to_dict()}
    result = measure({**job, "memory": "ddr"}, "sim", seed=3)
    values = inputs_of(op, 3)
    np.testing.assert_array_equal(op.unpack(result["tiles"]), op.reference(*values))
    with tilings_from(lambda shape, requantise, cfg, residual: tiling):
        assert workload.operator(TINY).tiling == tiling


def test_a_source_of_tilings_is_asked_and_checked():
    workload = parse_workload(CALLS[0], TINY)
    op = workload.operator(TINY)
    small = Tiling(1, 1, 1, 1, "yo", 1, 1, 1)
    with tilings_from(lambda shape, requantise, cfg, residual: small):
        assert workload.operator(TINY).tiling == small
        assert workload.operator(TINY, op.tiling).tiling == op.tiling  # given explicitly
    assert workload.operator(TINY).tiling == op.tiling
    large = Tiling(3, 5, 5, 2, "yo", 16, 16, 3)
    with (
        tilings_from(lambda shape, requantise, cfg, residual: large),
        pytest.raises(OperatorError, match=r"takes \d+ entries of the .*; the machine has \d+"),
    ):
        conv2d((1, 8, 9, 9), 12, 3, cfg=TINY, requantise=workload.requantise, padding=1)
