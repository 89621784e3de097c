"""Perfect loop nests around one statement, and accesses as linear forms of their loops.

The passes that replace nests by transfers and micro-ops share three questions: which loops run over
the scalars of a tile, which loops run over tiles, and which of the latter join into one loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from vta.compiler.te.expr import Expr, Var
from vta.compiler.tir.affine import Affine, linear
from vta.compiler.tir.interval import interval
from vta.compiler.tir.ir import Allocate, Buffer, For, IfThenElse, Seq, Stmt
from vta.compiler.tir.simplify import simplify
from vta.compiler.tir.visitor import walk
from vta.errors import LoweringError

__all__ = [
    "Loop",
    "LoopNest",
    "collect_loops",
    "flat_index",
    "join_loops",
    "remove_tile_loops",
    "require_affine",
    "require_inside",
    "require_no_attached_stages",
    "uses",
    "wrap_in_loops",
]


@dataclass(frozen=True)
class Loop:
    """A loop without its body: ``var`` = 0 .. ``extent`` - 1."""

    var: Var
    extent: int


@dataclass(frozen=True)
class LoopNest:
    """``leaf`` inside ``loops``, outermost first, executed where all ``guards`` hold."""

    loops: tuple[Loop, ...]
    guards: tuple[Expr, ...]
    leaf: Stmt


def collect_loops(stmt: Stmt) -> LoopNest:
    """The loops and conditions around the innermost statement of ``stmt``."""
    loops: list[Loop] = []
    guards: list[Expr] = []
    while True:
        match stmt:
            case For(var=var, extent=extent, kind="serial" | "unroll", body=body):
                loops.append(Loop(var, extent))
                stmt = body
            case IfThenElse(cond=cond, then=then):
                guards.append(cond)
                stmt = then
            case Seq(stmts=(single,)):
                stmt = single
            case _:
                return LoopNest(tuple(loops), tuple(guards), stmt)


def require_no_attached_stages(stmt: Stmt, where: str, what: str) -> None:
    """Refuse a nest in which another stage is computed: a nest becomes instructions as a whole."""
    inner = next((node for node in walk(stmt) if isinstance(node, Allocate)), None)
    if inner is not None:
        raise LoweringError(
            f"{where}: must contain {what} and nothing else, but stage {inner.buffer.name} is "
            f"computed inside; the pragma must be given to a loop further inside, or "
            f"{inner.buffer.name} must be computed further outside"
        )


def wrap_in_loops(loops: Iterable[Loop], guards: Iterable[Expr], stmt: Stmt) -> Stmt:
    """``stmt`` under the conditions, inside the loops (outermost first)."""
    for guard in guards:
        stmt = IfThenElse(guard, stmt)
    for loop in reversed(tuple(loops)):
        stmt = For(loop.var, loop.extent, "serial", stmt)
    return stmt


def uses(node: Expr | Stmt, variables: Iterable[Var]) -> bool:
    """Whether one of the variables appears in ``node``."""
    wanted = frozenset(variables)
    return any(item in wanted for item in walk(node) if isinstance(item, Var))


def flat_index(buffer: Buffer, indices: Sequence[Expr]) -> Affine:
    """The position of an access in scalars from the start of its buffer."""
    total = Affine()
    for index, stride in zip(indices, buffer.strides):
        total += linear(index).scale(stride)
    if all(isinstance(atom, Var) for atom, _ in total.terms):
        return total
    return linear(simplify(total.expr(), {}))  # i // 4 * 4 + i % 4 is i


def _split_form(form: Affine, loop: Loop, inner: int, outer: Var) -> Affine:
    """``form`` with ``loop.var`` replaced by ``outer * inner``, without its part inside a tile."""
    factor = form.coefficient(loop.var)
    return form.without(loop.var) + Affine.of([(outer, factor * inner)])


def remove_tile_loops(
    loops: Sequence[Loop], forms: Sequence[Affine], tile: int, other: Sequence[Affine], where: str
) -> tuple[list[Loop], list[Affine], list[Affine]]:
    """Remove the loops that run over the ``tile`` scalars of one element.

    Parameters
    ----------
    loops : sequence of Loop
        The loops of the nest.
    forms : sequence of Affine
        Positions in scalars. All must run through a tile in the same order, without gaps.
    tile : int
        Number of scalars of one element.
    other : sequence of Affine
        Forms of conditions, which must not change inside an element.
    where : str
        Start of error messages.

    Returns
    -------
    loops, forms, other
        The remaining loops, the positions in elements, and the conditions in the remaining loops.

    Raises
    ------
    LoweringError
        If no loops run over whole tiles.
    """
    loops, forms, other = list(loops), list(forms), list(other)
    done = 1
    while done < tile:
        found = next((p for p in loops if all(f.coefficient(p.var) == done for f in forms)), None)
        if found is None:
            have = f"only {done} of the {tile} values" if done > 1 else "no values"
            raise LoweringError(
                f"{where}: moves and computes whole elements of {tile} values, which must be the "
                f"innermost dimensions of every tensor; {have} of an element are contiguous here"
            )
        if gcd(found.extent, tile // done) != min(found.extent, tile // done):
            raise LoweringError(
                f"{where}: moves and computes whole elements of {tile} values, which must be the "
                f"innermost dimensions of every tensor; the loop {found.var.name} over them has "
                f"{found.extent} iterations (vta.packing pads tensors to whole elements)"
            )
        if any(form.coefficient(found.var) for form in other):
            raise LoweringError(f"{where}: the condition must hold for whole elements")
        _require_whole(found.var, [*forms, *other], where)
        at = loops.index(found)
        take = min(found.extent, tile // done)
        if take == found.extent:
            del loops[at]
            forms = [form.without(found.var) for form in forms]
        else:
            rest = Loop(Var(found.var.name), found.extent // take)
            loops[at] = rest
            forms = [_split_form(form, found, take, rest.var) for form in forms]
        done *= take
    return loops, [_elements(form, tile, where) for form in forms], other


def _require_whole(var: Var, forms: Sequence[Affine], where: str) -> None:
    """Each form must be affine in a loop over the values of an element."""
    for form in forms:
        for atom, _ in form.terms:
            if not isinstance(atom, Var) and uses(atom, [var]):
                raise LoweringError(f"{where}: the index `{atom}` must be affine in {var.name}")


def require_affine(forms: Iterable[Affine], loops: Iterable[Loop], where: str) -> None:
    """Each form must be affine in the loops: no division or minimum may use one."""
    variables = [loop.var for loop in loops]
    for form in forms:
        for atom, _ in form.terms:
            if not isinstance(atom, Var) and uses(atom, variables):
                raise LoweringError(f"{where}: `{atom}` must be affine in the loops of the copy")


def require_inside(
    form: Affine,
    loops: Iterable[Loop],
    ranges: Mapping[Var, tuple[int, int]],
    buffer: Buffer,
    tile: int,
    where: str,
) -> None:
    """Every element that the loops reach must be in the buffer.

    Parameters
    ----------
    form : Affine
        The position in elements, in the loops and in the variables of ``ranges``.
    tile : int
        Number of scalars of one element.

    Raises
    ------
    LoweringError
        With the range of elements and the size of the buffer.
    """  # fmt: skip
    inside = {loop.var: (0, loop.extent - 1) for loop in loops}
    low, high = interval(form.expr(), {**ranges, **inside})
    if low < 0 or (high + 1) * tile > buffer.size:
        raise LoweringError(
            f"{where}: the loops reach elements {low} to {high} of {buffer.name}, which has "
            f"{buffer.size // tile}; split its axes without a remainder"
        )


def _elements(form: Affine, tile: int, where: str) -> Affine:
    for value in (form.const, *(factor for _, factor in form.terms)):
        if value % tile:
            raise LoweringError(
                f"{where}: starts {value} values into a tensor, which is not at the start of an "
                f"element; must be a multiple of {tile}"
            )
    return Affine(tuple((atom, f // tile) for atom, f in form.terms), form.const // tile)


def join_loops(loops: Sequence[Loop], forms: Sequence[Affine]) -> tuple[list[Loop], list[Affine]]:
    """Join each pair of loops that advances every form as one loop would.

    An outer loop joins an inner one of extent n if each form's step for the outer is n times its
    step for the inner. A variable that appears inside a division or a minimum joins nothing.
    """
    loops, forms = list(loops), list(forms)
    atoms = [atom for form in forms for atom, _ in form.terms if not isinstance(atom, Var)]
    fixed = {loop.var for loop in loops if any(uses(atom, [loop.var]) for atom in atoms)}
    while True:
        pair = next(
            (
                (outer, inner)
                for outer in loops
                for inner in loops
                if outer is not inner and not {outer.var, inner.var} & fixed
                and all(
                    f.coefficient(outer.var) == inner.extent * f.coefficient(inner.var)
                    for f in forms
                )
            ),
            None,
        )  # fmt: skip
        if pair is None:
            return loops, forms
        outer, inner = pair
        joined = Loop(Var(inner.var.name), outer.extent * inner.extent)
        forms = [
            form.without(outer.var, inner.var)
            + Affine.of([(joined.var, form.coefficient(inner.var))])
            for form in forms
        ]
        loops[loops.index(outer)] = joined
        loops.remove(inner)
