"""Tensor expressions and schedules: ``from vta import te``."""

from types import SimpleNamespace as _SimpleNamespace

from vta.compiler.schedule.requests import thread_axis
from vta.compiler.schedule.schedule import Schedule, create_schedule
from vta.compiler.schedule.stage import Stage
from vta.compiler.target import GLOBAL as _GLOBAL
from vta.compiler.te import dtypes as _dtypes
from vta.compiler.te.conditions import all_of, any_of, equal, not_equal, select
from vta.compiler.te.expr import Expr, IterVar, Var, as_expr
from vta.compiler.te.requantisation import requantise
from vta.compiler.te.tags import tag_scope
from vta.compiler.te.tensor import (
    ComputeOp,
    Operation,
    PlaceholderOp,
    Tensor,
    compute,
    placeholder,
    reduce_axis,
)
from vta.compiler.te.tensor import reduce_max as max
from vta.compiler.te.tensor import reduce_min as min
from vta.compiler.te.tensor import reduce_sum as sum

all = all_of
any = any_of
if_then_else = select


def var(name: str = "i", dtype: str = "int32") -> Var:
    """A variable without a value. Shapes are static here, so it can only appear in error
    messages."""
    return Var(name, dtype)


def const(value: int, dtype: object = "int32") -> Expr:
    """An integer as an expression of type ``dtype``.

    Raises
    ------
    TensorError
        If it is no integer or outside the range of the type.
    """
    return as_expr(value, _dtypes.check(dtype, "te.const"))


def _auto_inline_injective(s: Schedule) -> None:
    """Inline every stage that reduces nothing, is no output, and was neither given a memory nor
    attached: a function of TVM's (``te.schedule.AutoInlineInjective``)."""
    for stage in s.stages:
        untouched = stage.scope == _GLOBAL and stage.attach.kind == "root"
        if stage.is_compute and not stage.is_output and not stage.op.reduce_axis and untouched:
            stage.compute_inline()


schedule = _SimpleNamespace(AutoInlineInjective=_auto_inline_injective)
"""The functions on schedules that programs written for TVM use."""

__all__ = [
    "ComputeOp",
    "IterVar",
    "Operation",
    "PlaceholderOp",
    "Schedule",
    "Stage",
    "Tensor",
    "Var",
    "all",
    "any",
    "compute",
    "const",
    "create_schedule",
    "equal",
    "if_then_else",
    "max",
    "min",
    "not_equal",
    "placeholder",
    "reduce_axis",
    "requantise",
    "schedule",
    "sum",
    "tag_scope",
    "thread_axis",
    "var",
]
