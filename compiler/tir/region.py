"""Regions: the range of an index while some of its loops run and the others are fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vta.compiler.te.expr import Const, Expr, FloorDiv, FloorMod, Var
from vta.compiler.tir.affine import Affine, linear
from vta.compiler.tir.interval import UNBOUNDED, atom_interval
from vta.compiler.tir.simplify import divide, simplified_sum, simplify
from vta.errors import LoweringError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["region"]


def region(
    expr: Expr, inner: Mapping[Var, int], ranges: Mapping[Var, tuple[int, int]]
) -> tuple[Expr, int]:
    """The range of ``expr`` while the ``inner`` variables run over their extents.

    Parameters
    ----------
    inner : mapping of Var to int
        The variables that run, each with its extent.
    ranges : mapping of Var to (int, int)
        The lowest and the highest value of the other variables, which are fixed.

    Returns
    -------
    (low, extent)
        Every value lies in ``low .. low + extent - 1``; ``low`` is an expression of the other
        variables. ``extent`` is exact for sums of variables, and may be too large for divisions.

    Raises
    ------
    LoweringError
        If a part of ``expr`` has no bound.
    """
    everything = {**ranges, **{var: (0, extent - 1) for var, extent in inner.items()}}
    low, width = _cover(simplified_sum(expr, everything), frozenset(inner), everything)
    return simplify(low.expr(), ranges), width + 1


def _cover(
    form: Affine, inner: frozenset[Var], ranges: Mapping[Var, tuple[int, int]]
) -> tuple[Affine, int]:
    moving, low = form.split(inner)
    width = 0
    for atom, factor in moving.terms:
        first, length = _cover_atom(atom, inner, ranges)
        low += (first if factor > 0 else first + Affine((), length)).scale(factor)
        width += abs(factor) * length
    return low, width


def _cover_atom(
    atom: Expr, inner: frozenset[Var], ranges: Mapping[Var, tuple[int, int]]
) -> tuple[Affine, int]:
    if isinstance(atom, FloorDiv | FloorMod) and isinstance(atom.b, Const):
        by = atom.b.value
        low, width = _cover(linear(atom.a), inner, ranges)
        whole, rest = divide(low, by, ranges)
        phase = rest.const if not rest.terms else None
        if isinstance(atom, FloorDiv):
            return whole, ((phase if phase is not None else by - 1) + width) // by
        if phase is not None and phase + width < by:
            return rest, width
    first, last = atom_interval(atom, ranges)
    if first in UNBOUNDED or last in UNBOUNDED:
        raise LoweringError(f"no bounds are known for `{atom}`")
    return Affine((), int(first)), int(last - first)
