"""Tensor expressions and schedules: ``from vta import te``."""

from vta.compiler.schedule.schedule import Schedule, create_schedule
from vta.compiler.schedule.stage import Stage, thread_axis
from vta.compiler.te.conditions import all_of, any_of, equal, not_equal, select
from vta.compiler.te.expr import IterVar, Var
from vta.compiler.te.tensor import Tensor, compute, placeholder, reduce_axis
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


__all__ = [
    "IterVar",
    "Schedule",
    "Stage",
    "Tensor",
    "Var",
    "all",
    "any",
    "compute",
    "create_schedule",
    "equal",
    "if_then_else",
    "max",
    "min",
    "not_equal",
    "placeholder",
    "reduce_axis",
    "sum",
    "thread_axis",
    "var",
]
