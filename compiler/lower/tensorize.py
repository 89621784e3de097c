"""Matching of loops with the GEMM instruction: ``acc[b, c] += sum_k inp[b, k] * wgt[c, k]``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from vta.compiler.analysis.conditional_values import without_zeros
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, GemmIntrin
from vta.compiler.te.expr import Cast, Const, Expr, Mul, Reduce, TensorRead, Var
from vta.compiler.tir.affine import Affine, linear
from vta.compiler.tir.ir import BufferLoad, GemmTile
from vta.compiler.tir.simplify import simplify
from vta.compiler.tir.visitor import substitute, walk
from vta.errors import LoweringError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vta.compiler.lower.bounds import StageLoops

__all__ = ["match_gemm"]

PATTERN = "acc[b, c] += sum over k of inp[b, k] * wgt[c, k]"


@dataclass(frozen=True)
class _Operand:
    """One tensor of the product, with its indices as linear forms of the loop variables."""

    name: str
    load: BufferLoad
    forms: tuple[Affine, ...]


class _Mismatch(Exception):  # noqa: N818 - never leaves this module
    """A difference to the instruction; becomes a LoweringError with the stage and the axis."""


def match_gemm(
    nest: StageLoops,
    inner: Sequence[Var],
    ranges: Mapping[Var, tuple[int, int]],
    store: BufferLoad,
    read: Callable[[TensorRead], BufferLoad],
    zeros: Callable[[TensorRead], list[Expr]],
) -> tuple[GemmTile, list[Expr]]:
    """The tile product that the loops over ``inner`` compute, and the conditions for it.

    A factor may be zero by a condition on the loops outside (``if_then_else(cond, x, 0)``, which an
    inlined padding or dilation has). The product is left out where the condition does not hold.

    Parameters
    ----------
    nest
        The stage, with ``tensorized`` set.
    inner
        Variables of the loops that the instruction replaces.
    store
        The element of the accumulator that the nest updates.
    read
        Function that gives the buffer element of a tensor read.
    zeros
        Function that gives further conditions on the axes; where one does not hold, the element
        of a tensor read is zero.

    Returns
    -------
    (tile, conditions)
        All conditions must hold for the tile to be computed.

    Raises
    ------
    LoweringError
        If the loops do not match the instruction. The message has the difference.
    """
    assert nest.stage.tensorized is not None
    axis, intrin = nest.stage.tensorized.axis, nest.stage.tensorized.intrin
    try:
        reads, conditions = _factors(nest.body)
        inp, wgt = _operands(map(read, reads))
        acc = _Operand("acc", store, tuple(map(linear, store.indices)))
        intrin = intrin or _tile_of(acc, inp, wgt)
        _check_types(acc, inp, wgt, intrin)
        for item in reads:
            conditions += zeros(item)
        required = [simplify(substitute(cond, nest.values), ranges) for cond in conditions]
        for cond in (*nest.guards, *required):
            if any(node in inner for node in walk(cond)):
                raise _Mismatch(
                    f"the condition `{cond}` ends the loops inside, so the last tile is not "
                    f"whole; the extents must be multiples of the tile"
                )
        _check_tiles(acc, inp, wgt, intrin, inner, ranges)
    except _Mismatch as error:
        sizes = intrin and (
            f" (inp {intrin.batch}x{intrin.block_in}, wgt {intrin.block_out}x{intrin.block_in})"
        )
        raise LoweringError(
            f"stage {nest.stage.name}: tensorize at axis {axis.name}: the loops do not match the "
            f"instruction {PATTERN}{sizes or ''}: {error}"
        ) from None
    start: dict[Var, Expr] = {var: Const(0) for var in inner}
    acc_tile, inp_tile, wgt_tile = (
        BufferLoad(
            item.load.buffer,
            tuple(simplify(substitute(index, start), ranges) for index in item.load.indices),
        )
        for item in (acc, inp, wgt)
    )
    call = nest.stage.tensorized.call
    return GemmTile(nest.stage.name, False, acc_tile, inp_tile, wgt_tile, call=call), required


def _factors(body: Expr) -> tuple[list[TensorRead], list[Expr]]:
    """The two factors of a sum of products, and the conditions under which neither is a zero."""
    if not isinstance(body, Reduce) or body.kind != "sum" or not isinstance(body.body, Mul):
        raise _Mismatch(f"the stage computes `{body}`; must be a sum of products of two tensors")
    reads: list[TensorRead] = []
    conditions: list[Expr] = []
    for factor in (body.body.a, body.body.b):
        found, value = without_zeros(factor)
        value = value.value if isinstance(value, Cast) else value
        if not isinstance(value, TensorRead):
            raise _Mismatch(
                f"the factor `{factor}` must be an element of a tensor, or zero by a condition"
            )
        reads.append(value)
        conditions += found
    return reads, conditions


def _operands(loads: Iterable[BufferLoad]) -> tuple[_Operand, _Operand]:
    """The operands inp and wgt: the memory of a factor decides which one it is."""
    found: dict[str, _Operand] = {}
    for load in loads:
        names = {INP_SCOPE: "inp", WGT_SCOPE: "wgt"}
        if load.buffer.scope not in names:
            raise _Mismatch(
                f"{load.buffer.name} is in {load.buffer.scope}; "
                f"must be in {INP_SCOPE} or {WGT_SCOPE}"
            )
        name = names[load.buffer.scope]
        found[name] = _Operand(name, load, tuple(map(linear, load.indices)))
    if len(found) != 2:
        scope = next(iter(found.values())).load.buffer.scope
        raise _Mismatch(f"both factors are in {scope}; must be {INP_SCOPE} and {WGT_SCOPE}")
    return found["inp"], found["wgt"]


def _tile_of(acc: _Operand, inp: _Operand, wgt: _Operand) -> GemmIntrin:
    """The instruction for the tiles of these buffers. The pass ``gemm_tiles_to_kernels`` compares
    the tiles with the machine.
    """
    shapes = []
    for item in (acc, inp, wgt):
        _require_two_dimensions(item)
        shapes.append(item.load.buffer.shape[-2:])
    (batch, block_out), (_, block_in) = shapes[:2]
    return GemmIntrin(batch, block_in, block_out, inp.load.dtype, wgt.load.dtype, acc.load.dtype)


def _require_two_dimensions(item: _Operand) -> None:
    if len(item.forms) < 2:
        raise _Mismatch(f"{item.load.buffer.name} has one dimension; the last two must be a tile")


def _check_types(acc: _Operand, inp: _Operand, wgt: _Operand, intrin: GemmIntrin) -> None:
    if acc.load.buffer.scope != ACC_SCOPE:
        raise _Mismatch(
            f"{acc.load.buffer.name} is in {acc.load.buffer.scope}; must be in {ACC_SCOPE}"
        )
    wanted = ((acc, intrin.acc_dtype), (inp, intrin.inp_dtype), (wgt, intrin.wgt_dtype))
    for item, dtype in wanted:
        if item.load.dtype != dtype:
            raise _Mismatch(
                f"{item.load.buffer.name} is {item.load.dtype}; {item.name} must be {dtype}"
            )


def _check_tiles(
    acc: _Operand,
    inp: _Operand,
    wgt: _Operand,
    intrin: GemmIntrin,
    inner: Sequence[Var],
    ranges: Mapping[Var, tuple[int, int]],
) -> None:
    """The loops must run over one tile of each operand, in the pairs of dimensions b, c and k."""
    b, c, k = (
        ("b", intrin.batch, (acc, -2), (inp, -2)),
        ("c", intrin.block_out, (acc, -1), (wgt, -2)),
        ("k", intrin.block_in, (inp, -1), (wgt, -1)),
    )
    for item in (acc, inp, wgt):
        _require_two_dimensions(item)
        for dim, form in enumerate(item.forms[:-2]):
            moving, _ = form.split(inner)
            if moving.terms:
                raise _Mismatch(
                    f"dimension {dim} of {item.load.buffer.name} varies with `{moving.expr()}` "
                    f"inside the tile; only its last two dimensions may"
                )
    used: dict[Var, str] = {}
    for letter, extent, first, second in (b, c, k):
        moving = _tile_form(letter, extent, first, inner, ranges)
        other = _tile_form(letter, extent, second, inner, ranges)
        if moving != other:
            raise _Mismatch(
                f"{_place(*first)} varies with `{moving.expr()}` and {_place(*second)} with "
                f"`{other.expr()}`; both are {letter} and must be equal"
            )
        for var in moving.variables:
            if var in used:
                raise _Mismatch(f"loop {var.name} runs over both {used[var]} and {letter}")
            used[var] = letter
    for var in inner:
        if var not in used:
            raise _Mismatch(
                f"loop {var.name} of {ranges[var][1] + 1} iterations runs over none of b, c, k"
            )


def _place(item: _Operand, dim: int) -> str:
    return f"dimension {len(item.forms) + dim} of {item.load.buffer.name}"


def _tile_form(
    letter: str,
    extent: int,
    where: tuple[_Operand, int],
    inner: Sequence[Var],
    ranges: Mapping[Var, tuple[int, int]],
) -> Affine:
    """The index of one tile dimension without its constant part; it must take each value of
    0 .. extent - 1 once.
    """
    item, dim = where
    size = item.load.buffer.shape[dim]
    if size != extent:
        raise _Mismatch(f"{_place(item, dim)} has extent {size}; {letter} has {extent}")
    moving, still = item.forms[dim].split(inner)
    if still != Affine():
        raise _Mismatch(f"{_place(item, dim)} starts at `{still.expr()}`; a tile must start at 0")
    if len(moving.variables) != len(moving.terms):
        raise _Mismatch(f"the index `{moving.expr()}` of {_place(item, dim)} is not a sum of loops")
    rounds = [range(ranges[var][1] + 1) for var in moving.variables]
    factors = [moving.coefficient(var) for var in moving.variables]
    taken = [sum(f * n for f, n in zip(factors, point)) for point in product(*rounds)]
    if sorted(taken) != list(range(extent)):
        loops = ", ".join(f"{var.name} of {len(r)}" for var, r in zip(moving.variables, rounds))
        raise _Mismatch(
            f"{_place(item, dim)} runs over {len(set(taken))} values (loops: {loops or 'none'}); "
            f"{letter} runs over {extent}"
        )
    return moving
