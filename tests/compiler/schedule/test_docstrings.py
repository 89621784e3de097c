"""The loop nests in the docstrings of the primitives are those that the primitives make."""

from __future__ import annotations

import inspect
import re
import textwrap
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import vta
from vta import te
from vta.compiler.schedule.loop_primitives import LoopPrimitives
from vta.compiler.schedule.schedule import Schedule
from vta.compiler.schedule.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

STAGE_PRIMITIVES = (
    "split", "tile", "fuse", "reorder", "unroll", "bind", "compute_at", "compute_root",
    "compute_inline", "set_scope", "ring", "pragma", "tensorize",
)  # fmt: skip
PRIMITIVES = [
    *(getattr(Stage, name) for name in STAGE_PRIMITIVES),
    *(Schedule.cache_read, Schedule.cache_write, Schedule.early_start),
]
NEST = re.compile(
    r"\b(?P<when>Before|After)(?:,? (?:with )?``(?P<code>[^`]+)``)?::\n\n(?P<text>(?: {4}.*\n|\n)+)"
)


def example_schedule() -> SimpleNamespace:
    """The names that the docstrings use: two element-wise stages and their loops."""
    A = te.placeholder((10, 6), name="A", dtype="int32")
    B = te.compute((10, 6), lambda i, j: A[i, j] + 1, name="B")
    C = te.compute((10, 6), lambda i, j: B[i, j] * 2, name="C")
    i, j = C.op.axis
    names = SimpleNamespace(A=A, B=B, C=C, s=te.create_schedule(C.op), i=i, j=j, te=te)
    names.args = [A, C]
    names.matrix_product = lambda: vars(names).update(vars(matrix_product()))
    return names


def matrix_product() -> SimpleNamespace:
    """A product whose operands and result have copies in the memories of the GEMM instruction."""
    env = vta.get_env()
    X = te.placeholder((4, 1, 16), name="X", dtype="int8")
    W = te.placeholder((16, 16), name="W", dtype="int8")
    k = te.reduce_axis((0, 16), name="k")
    Y = te.compute(
        (4, 1, 16),
        lambda n, b, c: te.sum(X[n, b, k].astype("int32") * W[c, k].astype("int32"), axis=k),
        name="Y",
    )
    s = te.create_schedule(Y.op)
    s.cache_read(X, env.inp_scope, [Y])
    s.cache_read(W, env.wgt_scope, [Y])
    Y_acc = s.cache_write(Y, env.acc_scope)
    return SimpleNamespace(s=s, Y_acc=Y_acc, b=Y_acc.op.axis[1], env=env, args=[X, W, Y])


def lines_of(text: str) -> str:
    """``text`` from the left margin; a line that ends in ``=`` is joined with the next one."""
    return re.sub(r" =\n +", " = ", textwrap.dedent(text).strip("\n"))


def assert_nest_is_in(nest: str, program: str) -> None:
    """``nest`` must be a run of whole lines of ``program``, at any indentation."""
    indented = (textwrap.indent(lines_of(nest), " " * by) for by in range(0, 40, 4))
    assert any(f"\n{text}\n" in f"\n{program}\n" for text in indented), program


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda primitive: primitive.__qualname__)
def test_nests(primitive: Callable[..., object]) -> None:
    nests = [*NEST.finditer(f"{inspect.getdoc(primitive)}\n")]
    assert [nest["when"] for nest in nests[:2]] == ["Before", "After"]
    before = nests[0]
    for after in nests[1:]:
        names = example_schedule()
        for nest in (before, after):
            if nest["code"]:
                exec(nest["code"], vars(names))
            program = str(vta.lower(names.s, names.args, stage="nest"))
            assert_nest_is_in(nest["text"], program)
        assert f".{primitive.__name__}(" in after["code"]


def test_every_primitive_has_nests() -> None:
    """The primitives that a test above names are all there are: those that the log records."""
    recorded = re.findall(
        r'_record\("(\w+)"', inspect.getsource(Stage) + inspect.getsource(LoopPrimitives)
    )
    recorded += re.findall(r'record\(None, "(\w+)"', inspect.getsource(Schedule))
    assert {*recorded, "tile"} == {primitive.__name__ for primitive in PRIMITIVES}
