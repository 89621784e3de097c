"""Tensors and computes: shapes, axes, and errors."""

from __future__ import annotations

import pytest

from vta import te, topi
from vta.errors import TensorError

A = te.placeholder((4, 8), "int32", "A")
K = te.reduce_axis((0, 8), "k")


def test_attributes() -> None:
    total = te.compute((4,), lambda row: te.sum(A[row, K], axis=[K]), "total")
    assert (total.name, total.shape, total.dtype, total.ndim) == ("total", (4,), "int32", 1)
    assert [axis.name for axis in total.op.axis] == ["row"]
    assert total.op.reduce_axis == (K,)
    assert total.op.inputs == (A,)
    assert total.op.output(0) == total
    assert str(total.op.body) == "sum(A[row, k], axis=[k])"
    assert str(total) == "Tensor(total, shape=[4], dtype=int32)"


def test_axis_names() -> None:
    assert [x.name for x in te.compute((2, 3), lambda *i: A(*i)).op.axis] == ["i0", "i1"]
    assert [x.name for x in te.compute((2, 3), lambda r, *i: A(r, *i)).op.axis] == ["r", "i1"]
    assert [x.name for x in te.compute((2,), lambda r, c=1: A[r, c]).op.axis] == ["r"]
    assert te.compute(3, lambda i: i * 2).shape == (3,)


def test_max_of_two_and_over_an_axis() -> None:
    both = te.compute((4, 8), lambda *i: te.max(te.min(A(*i), 9), 0))
    over = te.compute((4,), lambda i: te.max(A[i, K], axis=K))
    assert str(both.op.body) == "max(min(A[i0, i1], 9), 0)"
    assert str(over.op.body) == "max(A[i, k], axis=[k])"
    assert str(te.compute((4,), lambda i: te.min(A[i, K], K)).op.body) == "min(A[i, k], axis=[k])"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: te.placeholder((4, 0)), r"shape is \[4, 0\]; every extent must be at least 1"),
        (
            lambda: te.placeholder((te.var("n"),)),
            r"shape is \[n\]; every extent must be an integer",
        ),
        (lambda: te.placeholder(()), "at least one dimension"),
        (lambda: te.placeholder((4,), "float16", "X"), "placeholder X: dtype is float16"),
        (lambda: te.reduce_axis((3, 3), "k"), r"reduce_axis k: dom is \(3, 3\); begin must be"),
        (lambda: te.reduce_axis((3,), "k"), r"must be \(begin, end\)"),
        (lambda: A[1], r"A has 2 dimensions \[4, 8\]; got 1 indices \(1\)"),
        (lambda: A[1, 2:3], "A: index 1 is a slice"),
        (lambda: A[1, A[1, 1].astype("int8")], "of dtype int8; must be int32"),
        (lambda: list(A), "cannot be iterated"),
        (lambda: te.compute((4, 8), lambda i: A[i, 0], "X"), "compute X: the shape has 2 dim"),
        (lambda: te.compute((4,), lambda i: A, "X"), "returns the tensor A; must return an el"),
        (lambda: te.compute((4,), lambda i: "x"), "cannot use 'x'"),
        (lambda: te.compute((4,), lambda i: A[i, K]), "reduction axis k is not among"),
        (
            lambda: te.compute((4,), lambda i: te.sum(A[i, K], axis=K) + 1),
            "must be the whole body",
        ),
        (lambda: te.sum(A[0, K], axis=[K, K]), "an axis is named twice in k, k"),
        (lambda: te.sum(A[0, K], axis=[]), "at least one reduction axis"),
        (lambda: te.sum(A[0, K], axis=0), "axis is 0; must be made with te.reduce_axis"),
        (
            lambda: te.compute((4,), lambda i: te.sum(A[i, i], axis=i)),
            "i is not a reduction axis; te.reduce_axis makes one",
        ),
        (
            lambda: te.compute((4,), lambda i: A[i, i + 5], "X"),
            r"index 1 of A is `i \+ 5`, which runs over 5..8; must stay in 0..7",
        ),
        (
            lambda: te.compute((2, 2), lambda i, j: A[i * j, 0]),
            r"index 0 of A: `i \* j` must be affine in the axes; `i \* j` is not",
        ),
        (lambda: te.compute((4,), lambda i: A[A[i, 0], 0]), "must be affine"),
        (lambda: te.compute((4,), lambda i: A[te.var("n"), i]), "variable n has no value"),
        (
            lambda: te.compute((4,), lambda i: i * 65536 * 65536 // 7, "X"),
            r"compute X: `i \* 65536 \* 65536` runs over 0..12884901888; must fit int32",
        ),
    ],
)
def test_what_is_refused(make: object, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        make()


def test_axis_of_another_compute() -> None:
    other = te.compute((4, 8), lambda i, j: A[i, j])
    with pytest.raises(TensorError, match="compute X: the axis j belongs to another compute"):
        te.compute((4,), lambda i: A[i, other.op.axis[1]], "X")


def test_reads_under_a_condition_may_point_outside() -> None:
    padded = topi.nn.pad(A, [1, 0], [0, 2], pad_value=3, name="padded")
    assert padded.shape == (5, 10)
    assert str(padded.op.body) == "if_then_else(i0 >= 1 and i1 < 8, A[i0 - 1, i1], 3)"


def test_pad_without_padding_is_a_copy() -> None:
    assert str(topi.nn.pad(A, [0, 0]).op.body) == "A[i0, i1]"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: topi.add(A, A), "A[i0, i1] + A[i0, i1]"),
        (lambda: topi.subtract(5, A), "5 - A[i0, i1]"),
        (lambda: topi.multiply(A, -3), "A[i0, i1] * -3"),
        (lambda: topi.maximum(A, 0), "max(A[i0, i1], 0)"),
        (lambda: topi.minimum(A, 7), "min(A[i0, i1], 7)"),
        (lambda: topi.right_shift(A, 8), "A[i0, i1] >> 8"),
        (lambda: topi.left_shift(A, A), "A[i0, i1] << A[i0, i1]"),
        (lambda: topi.cast(A, "int8"), "int8(A[i0, i1])"),
        (lambda: topi.identity(A), "A[i0, i1]"),
        (lambda: topi.nn.relu(A), "max(A[i0, i1], 0)"),
        (lambda: topi.clip(A, 0, 127), "max(clip_min[i0, i1], 0)"),
        (
            lambda: topi.nn.dilate(A, [1, 2]),
            "if_then_else(i1 % 2 == 0, A[i0, i1 // 2], 0)",
        ),
    ],
)
def test_operators(make: object, text: str) -> None:
    assert str(make().op.body) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: topi.nn.pad(A, [1]), r"pad_before is \[1\]; the tensor has 2 dimensions"),
        (lambda: topi.nn.pad(A, [1, 0], [0, -1]), r"pad_after is \[0, -1\]; must be integers >= 0"),
        (lambda: topi.nn.pad(A, [1, 1], pad_value=0.5), "pad_value is 0.5; must be an integer"),
        (lambda: topi.nn.dilate(A, [2, 0]), r"strides is \[2, 0\]; must be 2 integers >= 1"),
        (lambda: topi.clip(A, 5, 2), "a_min is 5; must not be above a_max, 2"),
        (lambda: topi.add(1, 2), "at least one operand must be a tensor"),
        (
            lambda: topi.add(A, te.placeholder((4, 9), "int32", "B")),
            r"do not broadcast as NumPy.s do; A has \[4, 8\], B has \[4, 9\]",
        ),
    ],
)
def test_what_operators_refuse(make: object, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        make()
