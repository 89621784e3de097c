"""Python's and NumPy's operations on numbers: those that expressions have, and the errors of all
others, with the expression and what to write instead."""

from __future__ import annotations

import math

import numpy as np
import pytest

import vta
from tests.support.compiled import run_program
from vta import te, topi
from vta.compiler.te.expr import Expr, Var
from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import LoweringError, TensorError, TensorTypeError, VTAError

I, J = Var("i"), Var("j")  # noqa: E741
A = te.placeholder((4, 8), "int32", "A")
B = te.placeholder((4, 8), "int8", "B")
U = te.placeholder((4, 8), "uint8", "U")
X = A[I, J]
ENV = Environment(VTAConfig.preset("tiny"))


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (abs(X), "max(A[i, j], 0 - A[i, j])"),
        (abs(U[I, J]), "U[i, j]"),
        (+X, "A[i, j]"),
        (~X, "-1 - A[i, j]"),
        (~U[I, J], "255 - U[i, j]"),
        (divmod(I, 3)[1], "i % 3"),
        (divmod(7, I)[0], "7 // i"),
        (sum([X, I]), "A[i, j] + i"),
        (np.int32(3) * X, "3 * A[i, j]"),
        (X * np.int32(3), "A[i, j] * 3"),
        (np.array(3) + X, "3 + A[i, j]"),
        (np.maximum(X, 0), "max(A[i, j], 0)"),
        (np.minimum(9, X), "min(9, A[i, j])"),
        (np.add(X, I), "A[i, j] + i"),
        (np.int32(3) < X, "A[i, j] > 3"),
        (np.equal(X, 1), "A[i, j] == 1"),
        (np.negative(X), "0 - A[i, j]"),
        (np.abs(X), "max(A[i, j], 0 - A[i, j])"),
        (np.right_shift(X, 2), "A[i, j] >> 2"),
    ],
)
def test_what_works(expr: Expr, text: str) -> None:
    assert str(expr) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: X / 4, r"`A\[i, j\] / 4`: write `A\[i, j\] >> 2`, which rounds towards minus inf"),
        (lambda: (X + 1) / 4, r"`\(A\[i, j\] \+ 1\) / 4`: write `\(A\[i, j\] \+ 1\) >> 2`"),
        (lambda: X / 3, r"`A\[i, j\] / 3`: multiply by the scaled reciprocal and shift"),
        (lambda: 4 / X, r"`4 / A\[i, j\]`: multiply by"),
        (lambda: X & 7, r"`A\[i, j\] & 7`: .* write `A\[i, j\] - \(\(A\[i, j\] >> 3\) << 3\)`"),
        (lambda: 5 & X, r"`5 & A\[i, j\]`: the machine has no bitwise operations"),
        (lambda: X | 1, r"`A\[i, j\] \| 1`: the machine has no bitwise operations"),
        (lambda: X ^ X, r"`A\[i, j\] \^ A\[i, j\]`: the machine has no bitwise operations"),
        (lambda: (I < 3) & (J < 2), r"`\(i < 3\) & \(j < 2\)`: write te.all\(i < 3, j < 2\)"),
        (lambda: (I < 3) | (J < 2), r"write te.any\(i < 3, j < 2\)"),
        (lambda: ~(I < 3), "`~i < 3`: write the opposite comparison"),
        (lambda: X**2, r"`A\[i, j\] \*\* 2`: write `A\[i, j\] \* A\[i, j\]`"),
        (lambda: X**3, r"`A\[i, j\] \*\* 3`: the machine has no power; write the product out"),
        (lambda: 2**X, r"`2 \*\* A\[i, j\]`: the machine has no power"),
        (
            lambda: pow(X, 2, 5),
            r"`pow\(A\[i, j\], 2, 5\)`: write `A\[i, j\] \* A\[i, j\]`, and its rem",
        ),
        (lambda: f"{X:d}", r"format 'd' of `A\[i, j\]`: the value is not known while the program"),
        (lambda: f"{A:d}", r"format 'd' of `Tensor\(A, .*only its text can be formatted"),
        (lambda: "%f" % X, r"`float\(A\[i, j\]\)`: the value is not known"),  # noqa: UP031
        (lambda: X @ X, "write te.sum"),
        (lambda: max(X, 0), r"`0 > A\[i, j\]`|`A\[i, j\] < 0`.*te.max and te.min instead of"),
        (lambda: min(X, 0), "te.max and te.min instead of Python's max and min"),
        (lambda: bool(X), r"the value of `A\[i, j\]` is not known while the program is written"),
        (lambda: X and 1, "instead of Python's if, and, or, not"),
        (lambda: not X, "instead of Python's if, and, or, not"),
        (lambda: X == 0, r"`A\[i, j\] == 0` .*write te.equal\(A\[i, j\], 0\)"),
        (lambda: X != 0, r"write te.equal\(A\[i, j\], 0\) or te.not_equal"),
        (lambda: float(X), r"`float\(A\[i, j\]\)`"),
        (lambda: complex(X), r"`complex\(A\[i, j\]\)`"),
        (lambda: round(X), r"`round\(A\[i, j\]\)`: .*it is an integer"),
        (lambda: math.trunc(X), "it is an integer"),
        (lambda: math.floor(X), r"`float\(A\[i, j\]\)`"),
        (lambda: [1, 2][X], "an index of a te.placeholder may be an expression, one of a Python"),
        (lambda: range(I), r"`operator.index\(i\)`"),
        (lambda: len(X), r"`len\(A\[i, j\]\)`: .*a te.Tensor has a shape"),
        (lambda: list(X), r"`iter\(A\[i, j\]\)`: .*index its tensor instead"),
        (lambda: 3 in X, r"`... in A\[i, j\]`: .*write te.any of te.equal"),
        (lambda: X[1], r"all indices of a tensor are in one pair of brackets, A\[i, j\]"),
        (lambda: np.asarray(X), r"`np.asarray\(A\[i, j\]\)`"),
        (lambda: np.array([X, X]), r"`np.asarray\(A\[i, j\]\)`"),
        (lambda: np.arange(4)[I], r"`np.asarray\(i\)`|`operator.index\(i\)`"),
        (lambda: np.arange(4) * X, r"cannot use an array of shape \(4,\) in an expression; give"),
        (lambda: X * np.arange(4), r"cannot use an array of shape \(4,\) in an expression; give"),
        (lambda: np.float32(1.5) * X, r"`1.5 \* A\[i, j\]`: cannot use 1.5 \(float\)"),
        (lambda: np.exp(X), r"`np.exp\(A\[i, j\]\)`: NumPy cannot compute with an expression"),
        (lambda: np.add.reduce(X), r"`np.add\(A\[i, j\]\)`: NumPy cannot compute"),
        (lambda: np.divide(X, 4), r"`A\[i, j\] / 4`: write"),
        (lambda: np.where(I < 3, X, 0), r"`np.where` on `i < 3`: .* write te.if_then_else"),
        (lambda: np.clip(X, 0, 5), r"`np.clip` on `A\[i, j\]`: .* write te.min\(te.max"),
        (lambda: np.sum(X), r"`np.sum` on `A\[i, j\]`: .* write te.sum\(x, axis=k\)"),
        (lambda: X + 2.5, r"`A\[i, j\] \+ 2.5`: cannot use 2.5 \(float\) in an .*scale by"),
        (lambda: 2.0 * X, r"`2.0 \* A\[i, j\]`: cannot use 2.0 \(float\) .*; write 2"),
        (lambda: X + math.inf, r"cannot use inf \(float\)"),
        (lambda: te.max(X, 2.5), r"`max\(A\[i, j\], 2.5\)`: cannot use 2.5 \(float\)"),
        (lambda: X + None, r"cannot use None \(NoneType\) .*must be an integer or an expression"),
        (lambda: X + "1", r"cannot use '1' \(str\)"),
        (lambda: X + A, r"cannot use the tensor A in an expression; read one of its elements, A\["),
        (lambda: A[I, 1.0], r"cannot use 1.0 \(float\)"),
        (lambda: A + B, r"`A \+ B`: operators work on elements: write topi.add\(A, B\), or te.com"),
        (lambda: 1 - A, r"`1 - A`: .*write topi.subtract\(1, A\)"),
        (lambda: np.int32(1) - A, r"`np.subtract\(1, A\)`: .*use vta.topi, or te.compute"),
        (
            lambda: A / 2,
            r"`A / 2`: operators work on elements: write te.compute over A\[i, \.\.\.\]",
        ),
        (lambda: A > 0, r"`0 < A`: operators work on elements"),
        (lambda: -A, r"`-A`: .*write topi.subtract\(0, A\)"),
        (lambda: ~A, r"write topi.subtract\(-1, A\)"),
        (lambda: abs(A), r"write topi.maximum\(A, topi.subtract\(0, A\)\)"),
        (lambda: bool(A), r"`bool\(A\)`: the tensor has no values while the program is written"),
        (lambda: np.asarray(A), r"`np.asarray\(A\)`: .*vta.runtime.array puts values on a device"),
        (lambda: np.add(A, 1), r"`np.add\(A, 1\)`: .*use vta.topi"),
        (lambda: np.sum(A), r"`np.sum\(A\)`: .*use vta.topi"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(TensorTypeError, match=message) as caught:
        make()
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, VTAError)


@pytest.mark.parametrize("make", [lambda: int(X), lambda: "%d" % X])  # noqa: UP031
def test_integers_are_refused(make) -> None:
    message = r"`int\(A\[i, j\]\)`: the value is not known while the program is written; use it as"
    with pytest.raises(TensorError, match=message):
        make()


def test_texts_are_formatted_as_strings() -> None:
    assert f"{X}" == "A[i, j]" and f"{X:>9}" == "  A[i, j]" and f"{A:.9}" == "Tensor(A,"


def test_integers_beyond_the_type_name_the_expression() -> None:
    with pytest.raises(TensorError, match=r"`A\[i, j\] \+ 1099511627776`: the constant 109951162"):
        X + 2**40
    with pytest.raises(
        TensorError, match=r"`200 \* B\[i, j\]`: the constant 200 does not fit int8"
    ):
        200 * B[I, J]


@pytest.mark.parametrize(
    "body",
    [
        lambda i, j: A[i, j] if i == 0 else 0,
        lambda i, j: A[i, j] if i == j else 0,
        lambda i, j: A[i, j] if i != j else 0,
        lambda i, j: A[i, j] if A[i, j] == A[i, 0] else 0,
        lambda i, j: te.if_then_else(i % 2 == 0, A[i, j], 0),
    ],
)
def test_equality_in_a_compute_is_not_decided_while_it_is_written(body) -> None:
    with pytest.raises(TensorTypeError, match=r"write te.equal\(.*\) or te.not_equal\("):
        te.compute((4, 8), body)


def test_computes_may_stand_in_the_function_of_another_one() -> None:
    outer = te.compute((4, 8), lambda i, j: topi.nn.pad(A, [1, 1])[i, j] + A[i, j])
    assert outer.shape == (4, 8)
    assert A.op.output(0) == A and A[I, J] == X  # outside of it, texts are compared


# ---- the replacements in the messages compile and give the values of the operation ---------------


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (lambda x: -x, lambda x: -x),
        (lambda x: ~x, lambda x: ~x),
        (lambda x: abs(x), abs),
        (lambda x: x >> 2, lambda x: x // 4),
        (lambda x: x - ((x >> 2) << 2), lambda x: x % 4),
        (lambda x: x - ((x >> 3) << 3), lambda x: x & 7),
        (lambda x: x * x, lambda x: x**2),
        (lambda x: (x * 5) >> 1, lambda x: np.floor(x * 2.5).astype(np.int32)),
        (lambda x: te.min(te.max(x, -3), 3), lambda x: np.clip(x, -3, 3)),
    ],
)
def test_cures_compute_what_was_meant(write, expected) -> None:
    shape = (8, ENV.BATCH, ENV.BLOCK_OUT)
    values = np.random.default_rng(0).integers(-11, 12, shape).astype(np.int32)
    (out,), _ = run_program(one_stage(write, shape), [values])
    np.testing.assert_array_equal(out, expected(values).astype(np.int8))


def test_reciprocals_divide() -> None:
    x = np.arange(256)
    np.testing.assert_array_equal((x * 171) >> 9, x // 3)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda x: x // 4, r"cannot compute `.* // 4`.*\(write `.* >> 2`, which rounds towards"),
        (lambda x: x % 4, r"cannot compute `.* % 4`.*\(write `(.*) - \(\(.* >> 2\) << 2\)`\)"),
        (lambda x: x // 3, "multiply by the scaled reciprocal and shift"),
    ],
)
def test_divisions_of_data_are_refused_with_a_cure(write, message: str) -> None:
    with pytest.raises(LoweringError, match=message):
        one_stage(write, (8, ENV.BATCH, ENV.BLOCK_OUT))


def one_stage(write, shape: tuple[int, ...]):
    """The program of one stage on the vector ALU."""
    data = te.placeholder(shape, "int32", "data")
    result = te.compute(shape, lambda *i: write(data(*i)), name="result")
    out = topi.cast(result, "int8", name="out")
    s = te.create_schedule(out.op)
    copy = s.cache_read(data, ENV.acc_scope, [result])
    s[result].set_scope(ENV.acc_scope)
    s[copy].pragma(s[copy].op.axis[0], ENV.dma_copy)
    s[result].pragma(result.op.axis[0], ENV.alu)
    s[out].pragma(out.op.axis[0], ENV.dma_copy)
    with ENV:
        return vta.build(s, [data, out]).program
