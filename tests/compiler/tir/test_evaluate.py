"""Arrays of values give what single values give."""

from __future__ import annotations

import numpy as np
import pytest

from vta.compiler.te.conditions import And, Or, equal, not_equal, select
from vta.compiler.te.expr import Compare, FloorDiv, FloorMod, Max, Min, Var
from vta.compiler.tir.evaluate import array_evaluator, evaluator

X, Y = Var("x"), Var("y")


@pytest.mark.parametrize(
    "expr",
    [
        X * 3 + Y - 7,
        FloorDiv(X, Y + 9) + FloorMod(X - 20, Y + 3),
        Min(X, Y) * 2 - Max(X, Y + 1),
        select(And(Compare("<", X, Y), Compare(">=", X + Y, Y)), X, Y * 4),
        Or(equal(X, 2), not_equal(Y, 1)),
    ],
    ids=["sum", "division", "extremes", "choice", "either"],
)
def test_arrays(expr):
    x, y = (axis.ravel() for axis in np.indices((6, 5)))
    found = array_evaluator(expr)({X: x, Y: y})
    one = evaluator(expr)
    pairs = zip(x.tolist(), y.tolist())
    assert found.astype(int).tolist() == [int(one({X: a, Y: b})) for a, b in pairs]
    fixed = array_evaluator(expr)({X: x, Y: 3})
    assert np.broadcast_to(fixed, x.shape).astype(int).tolist() == [
        int(one({X: a, Y: 3})) for a in x.tolist()
    ]
