"""The programs of the tutorials before any pass, as texts to read.

``pytest --update-golden`` writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.workloads import (
    conv2d,
    matmul,
    schedule_conv2d,
    schedule_matmul,
    schedule_vadd,
    vadd,
)
from vta import te
from vta.compiler.lower.lower import lower
from vta.compiler.target import Target
from vta.config import VTAConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    Golden = Callable[[str, str], None]

TARGET = Target.from_config(VTAConfig())


def test_vector_add(golden: Golden) -> None:
    ops = vadd()
    golden("nest_vadd_default", str(lower(te.create_schedule(ops.C.op), ops.args)))
    golden("nest_vadd_all", str(lower(schedule_vadd(ops), ops.args)))


@pytest.mark.parametrize("upto", ["default", "blocked", "all"])
def test_blocked_matmul(golden: Golden, upto: str) -> None:
    ops = matmul()
    func = lower(schedule_matmul(ops, TARGET, upto=upto), ops.args)
    golden(f"nest_matmul_{upto}", str(func))


@pytest.mark.parametrize("upto", ["default", "blocked", "all"])
def test_convolution(golden: Golden, upto: str) -> None:
    ops = conv2d()
    func = lower(schedule_conv2d(ops, TARGET, upto=upto), ops.args)
    golden(f"nest_conv2d_{upto}", str(func))


def test_uneven_split(golden: Golden) -> None:
    """A guard is at the innermost loop that it uses, around the stages computed there."""
    a = te.placeholder((10, 6), "int32", "A")
    b = te.compute(a.shape, lambda i, j: a[i, j] + 1, "B")
    c = te.compute(a.shape, lambda i, j: b[i, j] * 2, "C")
    s = te.create_schedule(c.op)
    _, inner = s[c].split(c.op.axis[0], factor=4)
    s[b].compute_at(s[c], inner)
    golden("nest_uneven_split", str(lower(s, [a, c])))
