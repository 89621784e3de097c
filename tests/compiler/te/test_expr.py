"""Expression nodes: types, folding, text, and errors."""

from __future__ import annotations

import numpy as np
import pytest

from vta import te
from vta.compiler.te import dtypes
from vta.compiler.te.conditions import Select
from vta.compiler.te.expr import Add, Const, Expr, Var
from vta.errors import TensorError

I, J = Var("i"), Var("j")  # noqa: E741
A = te.placeholder((4, 8), "int32", "A")
B = te.placeholder((4, 8), "int8", "B")


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (I + J * 2, "i + j * 2"),
        ((I + J) * 2, "(i + j) * 2"),
        (I - (J - 1), "i - (j - 1)"),
        (2 - I, "2 - i"),
        (-I, "0 - i"),
        (I // 3 % 2, "i // 3 % 2"),
        (A[I, J] >> 3 << 1, "A[i, j] >> 3 << 1"),
        (7 >> A[I, J], "7 >> A[i, j]"),
        (1 << A[I, J], "1 << A[i, j]"),
        (10 // I + 10 % I, "10 // i + 10 % i"),
        (A[I, J] + 1 >> 3, "A[i, j] + 1 >> 3"),
        (A[I, J] + (A[J, I] >> 3), "A[i, j] + (A[j, i] >> 3)"),
        (B(I, J).astype("int32"), "int32(B[i, j])"),
        (te.max(A[I, J], 0), "max(A[i, j], 0)"),
        (
            te.if_then_else(te.all(I >= 1, te.any(J < 3, te.equal(I, J))), A[I, J], -1),
            "if_then_else(i >= 1 and (j < 3 or i == j), A[i, j], -1)",
        ),
    ],
)
def test_text(expr: Expr, text: str) -> None:
    assert str(expr) == text


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (Const(2) + 3, Const(5)),
        (I + 0, I),
        (0 + I, I),
        (I * 1, I),
        (I - 0, I),
        (A[I, J] >> 0, A[I, J]),
        (A[I, J].astype("int32"), A[I, J]),
        (Const(127, "int8") + 1, Const(-128, "int8")),
        (Const(-7) // 2, Const(-4)),
        (Const(-7) % 4, Const(1)),
        (Const(300).astype("int8"), Const(44, "int8")),
        (Const(-1).astype("uint8"), Const(255, "uint8")),
        (te.if_then_else(Const(1) < 2, I, J), I),
        (te.all(Const(1) < 2, I < 3), I < 3),
        (te.any(Const(2) < 1, I < 3), I < 3),
        (te.all(Const(2) < 1, I < 3), Const(0, "bool")),
    ],
)
def test_folding(expr: Expr, expected: Expr) -> None:
    assert expr == expected


def test_structure_decides_equality() -> None:
    assert I + 1 == I + 1 and hash(I + 1) == hash(I + 1)
    assert I + 1 != 1 + I
    assert Var("i") != I
    assert type(I + J) is Add and (I < J).dtype == "bool"
    assert isinstance(te.if_then_else(I < J, I, J), Select)
    assert A[np.int64(1), J] == A[1, J]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: A[I, J] + B[I, J], r"`\+` have different dtypes: A\[i, j\] is int32, B.* is int8"),
        (lambda: B[I, J] + 200, "the constant 200 does not fit int8; must be in -128..127"),
        (lambda: A[I, J] + 1.5, r"cannot use 1.5 \(float\)"),
        (lambda: A[I, J] >> 32, r"shift distance is 32; must be in 0..31"),
        (lambda: B[I, J] << -1, r"shift distance is -1; must be in 0..7"),
        (lambda: I // 0, "division by zero"),
        (lambda: A[I, J].astype("float32"), "dtype is float32; must be one of int4, int8"),
        (lambda: 0 if I < 3 else 1, "not known while the program is written"),
        (lambda: 0 <= I < 3, "not known while the program is written"),
        (lambda: te.if_then_else(I == J, I, J), r"got False .*te.equal\(a, b\) makes"),
        (lambda: te.all(), "te.all: at least one condition"),
        (lambda: te.all(I), "got i of type int32"),
        (lambda: te.if_then_else(I < J, A[I, J], B[I, J]), "A.* is int32, B.* is int8"),
        (lambda: A[I, J] + True, r"a Python bool \(True\) cannot be used as a value of type int32"),
        (lambda: (I < J) + (J < I), "the operands are bool; must be integers"),
    ],
)
def test_what_is_refused(make: object, message: str) -> None:
    with pytest.raises(TensorError, match=message):
        make()


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint16"])
def test_wrap_is_numpy_casting(dtype: str) -> None:
    info = np.iinfo(dtype)
    assert dtypes.limits(dtype) == (info.min, info.max)
    for value in (-70000, -129, -1, 0, 127, 128, 255, 256, 65535, 2**31, -(2**31) - 1):
        assert dtypes.wrap(value, dtype) == np.array(value, np.int64).astype(dtype)
    assert dtypes.check(np.dtype(dtype), "x") == dtype == dtypes.check(getattr(np, dtype), "x")


def test_int4() -> None:
    assert dtypes.limits("int4") == (-8, 7) and dtypes.wrap(8, "int4") == -8
