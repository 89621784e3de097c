"""Requantisation: from 32-bit sums to the few bits of an activation. The rule, in one place.

For a sum ``a`` (bias added) of channel ``c``, with ``half(s) = 2 ** (s - 1)`` and ``half(0) = 0``::

    t   = (a + half(pre_shift)) >> pre_shift
    y   = (t * multiplier[c] + half(shift)) >> shift
    out = clip(y + zero, low, high)

Both shifts are arithmetic: a division by a power of two that rounds to the nearest integer, halves
up. Without multipliers (``scaled`` is False) each is 1. Products and sums wrap at 32 bits, as all
arithmetic of the machine does; :func:`choose` gives parameters with which none does.

The base set has no rounding multiplication, so the rule is a chain of vector operations: add,
shift, multiply, add, shift, maximum, minimum. ``half`` and ``zero`` are parts of constants that are
added anyway, and with ``pre_shift = 0`` the bias is multiplied by the compiler, which leaves
multiply, add, shift, maximum, minimum.

With the instruction set extension a sum and one operation do it (:class:`OnePass`): multiplier,
shift and zero point of each channel are one constant, the product is exact, and::

    out = clip(((a * multiplier[c] + half(shift[c])) >> shift[c]) + zero[c], low, high)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vta.compiler.te.expr import maximum, minimum
from vta.compiler.te.requantisation import requantise
from vta.compiler.te.tensor import Tensor, compute
from vta.errors import OperatorError
from vta.isa import SCALE, Scale
from vta.isa.capabilities import Capability, capabilities_of, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vta.compiler.ops.operator import Array
    from vta.compiler.te.expr import Expr
    from vta.config import VTAConfig

__all__ = [
    "OnePass",
    "Requantise",
    "Scaling",
    "WholeSums",
    "choose",
    "choose_scales",
    "half",
    "one_pass_on",
    "require_rule",
]

ENOUGH = 1 / 64
"""An error bound that is not worth another vector operation."""
MOST_MULTIPLIER = SCALE["multiplier"].high
MOST_ONE_PASS_SHIFT = 47
"""Of a :class:`Scale`: from 48 on every product rounds to 0."""
MOST_SHIFT = 30
"""A larger ``half`` would not fit 32 bits beside a product."""


def half(shift: int) -> int:
    """What is added before a shift so that it rounds."""
    return 1 << (shift - 1) if shift else 0


def _wrap(values: Array) -> Array:
    """Values of int64 at 32 bits, as int32."""
    return values.astype(np.uint32).astype(np.int32)


@dataclass(frozen=True)
class Requantise:
    """How 32-bit sums become activations.

    Attributes
    ----------
    shift : int
        0 to 31. Without multipliers the scale of the sums over that of the result is
        ``2 ** -shift``.
    low, high : int
        The range that results are clipped to; ``low=0`` is a rectifier.
    scaled : bool
        Whether each channel has a multiplier, an operand of its own.
    pre_shift, zero : int
        As in the rule; only with multipliers.
    """

    shift: int
    low: int = -128
    high: int = 127
    scaled: bool = False
    pre_shift: int = 0
    zero: int = 0

    def __post_init__(self) -> None:
        for name, value in (("shift", self.shift), ("pre_shift", self.pre_shift)):
            if not 0 <= value <= 31:
                raise OperatorError(f"requantise: {name} is {value}; must be 0 to 31")
        if not self.low <= self.high:
            raise OperatorError(
                f"requantise: low is {self.low} and high {self.high}; low must not be above high"
            )
        if not self.scaled and (self.pre_shift or self.zero):
            raise OperatorError(
                f"requantise: pre_shift is {self.pre_shift} and zero {self.zero}; both must be 0 "
                f"without multipliers (scaled=True)"
            )

    @property
    def half(self) -> int:
        """What is added to a sum, or to its bias, so that ``shift`` rounds."""
        return half(self.shift)

    @property
    def given(self) -> tuple[str, ...]:
        """What the caller gives of each channel, in order: arrays of int32."""
        return ("bias", "multiplier") if self.scaled else ("bias",)

    @property
    def constants(self) -> tuple[str, ...]:
        """The constants of each channel, in the order in which they are operands of a program."""
        if not self.scaled:
            return ("bias",)
        return ("bias", "multiplier", "offset") if self.pre_shift else ("bias", "multiplier")

    def result_dtype(self, cfg: VTAConfig) -> str:
        """The type of what is stored."""
        return cfg.out_dtype

    @property
    def passes(self) -> int:
        """Vector operations for each vector of sums."""
        return len(self.operations)

    @property
    def operations(self) -> tuple[str, ...]:
        """The operations of the ALU, in order."""
        return tuple(operation for _, operation, _ in self._chain())

    def check(self, cfg: VTAConfig) -> None:
        """Check that the machine can do it, and that results fit its activations.

        Raises
        ------
        OperatorError
            If ``low`` or ``high`` does not fit, or the machine lacks an instruction.
        """
        bits = cfg.out_width
        lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if self.low < lowest or self.high > highest:
            raise OperatorError(
                f"requantise: the range is {self.low} to {self.high}; activations of {bits} bits "
                f"hold {lowest} to {highest}"
            )

    def values(self, bias: Array, multiplier: Array | None = None) -> dict[str, Array]:
        """The values of :attr:`constants`: int32, one a channel.

        Parameters
        ----------
        bias : ndarray of int32, shape (channels,)
            What is added to the sums.
        multiplier : ndarray of int32, shape (channels,)
            If ``scaled``.
        """
        bias = np.asarray(bias, np.int64)
        if multiplier is None:
            return {"bias": _wrap(bias + self.half)}
        factors = np.asarray(multiplier, np.int64)
        last = self.half + (self.zero << self.shift)
        if not self.pre_shift:
            return {"bias": _wrap(bias * factors + last), "multiplier": _wrap(factors)}
        return {
            "bias": _wrap(bias + half(self.pre_shift)),
            "multiplier": _wrap(factors),
            "offset": _wrap(np.full_like(factors, last)),
        }

    def _chain(self) -> list[tuple[str, str, int | str]]:
        """Stage names, operations, and their second operands: a number or a constant's name."""
        clip: list[tuple[str, str, int | str]] = [
            ("clipped_low", "max", self.low),
            ("clipped", "min", self.high),
        ]
        shifted: list[tuple[str, str, int | str]] = (
            [("shifted", "shr", self.shift)] if self.shift else []
        )
        if not self.scaled:
            return [("biased", "add", "bias"), *shifted, *clip]
        if not self.pre_shift:
            return [("scaled", "mul", "multiplier"), ("biased", "add", "bias"), *shifted, *clip]
        return [
            ("biased", "add", "bias"),
            ("narrowed", "shr", self.pre_shift),
            ("scaled", "mul", "multiplier"),
            ("rounded", "add", "offset"),
            *shifted,
            *clip,
        ]

    def stages(
        self, total: Tensor, constant: Callable[[str, Sequence[Expr]], Expr]
    ) -> list[Tensor]:
        """The stages after the sums ``total``; each is one vector operation.

        Parameters
        ----------
        total : Tensor
            The sums, without bias.
        constant : callable
            ``constant(name, index)``: the element of one of :attr:`constants` for an element of
            ``total``.
        """
        apply: Mapping[str, Callable[[Expr, Expr], Expr]] = {
            "requantise": lambda a, b: requantise(a, b, self.low, self.high),
            "add": lambda a, b: a + b,
            "mul": lambda a, b: a * b,
            "shr": lambda a, b: a >> b,
            "max": maximum,
            "min": minimum,
        }
        chain = [total]

        def step(name: str, operation: str, operand: int | str) -> None:
            before, do = chain[-1], apply[operation]

            def body(*index: Expr) -> Expr:
                other = constant(operand, index) if isinstance(operand, str) else operand
                return do(before(*index), other)  # type: ignore[arg-type]  # a number is one too

            chain.append(compute(total.shape, body, name=name))

        for link in self._chain():
            step(*link)
        return chain[1:]

    def reference(self, sums: Array, multiplier: Array | None = None) -> Array:
        """The rule, of an array of sums with their bias.

        Parameters
        ----------
        sums : ndarray, any shape
        multiplier : ndarray or None
            If ``scaled``; in a shape that broadcasts to that of ``sums``.

        Returns
        -------
        ndarray of int32
        """
        sums = np.asarray(sums, np.int64)
        factors = np.int64(1) if multiplier is None else np.asarray(multiplier, np.int64)
        narrow = _wrap(sums + half(self.pre_shift)) >> self.pre_shift
        last = self.half + (self.zero << self.shift)
        wide = _wrap(narrow.astype(np.int64) * factors + last)
        clipped: Array = np.clip(wide >> self.shift, self.low, self.high)
        return clipped


@dataclass(frozen=True)
class OnePass(Requantise):
    """Requantisation by the operation REQUANTISE of the instruction set extension, after the sum
    with the bias.

    The caller gives bias and ``scale`` of each channel: the words of multiplier, shift and zero
    point (:attr:`vta.isa.Scale.word`), as :func:`choose_scales` finds them. ``OnePass(low=0)`` has
    only the limits as attributes of its own.
    """

    shift: int = 0
    scaled: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shift or self.pre_shift or self.zero or not self.scaled:
            raise OperatorError(
                f"requantise: shift is {self.shift}, pre_shift {self.pre_shift}, zero {self.zero} "
                f"and scaled {self.scaled}; in one pass they are in the scale of each channel"
            )

    @property
    def given(self) -> tuple[str, ...]:
        return ("bias", "scale")

    @property
    def constants(self) -> tuple[str, ...]:
        return ("bias", "scale")

    def check(self, cfg: VTAConfig) -> None:
        super().check(cfg)
        if not one_pass_on(cfg):
            raise OperatorError(
                f"requantise: one pass needs {describe(Capability.REQUANTISE)} of the instruction "
                f"set extension; EXTENSION is {cfg.extension} (set it to 1, "
                f"or use Requantise)"
            )

    def values(self, bias: Array, multiplier: Array | None = None) -> dict[str, Array]:
        """The values of :attr:`constants`; ``multiplier`` is the array of scales."""
        assert multiplier is not None
        return {"bias": np.asarray(bias, np.int32), "scale": np.asarray(multiplier, np.int32)}

    def _chain(self) -> list[tuple[str, str, int | str]]:
        return [("biased", "add", "bias"), ("requantised", "requantise", "scale")]

    def reference(self, sums: Array, multiplier: Array | None = None) -> Array:
        """The rule; ``multiplier`` is the array of scales, in a shape that broadcasts."""
        assert multiplier is not None
        words = np.asarray(multiplier, np.int64) & 0xFFFF_FFFF
        factor, shift, zero = (
            ((words >> field.offset) % (1 << field.width)) for field in SCALE.fields
        )
        factor, zero = factor.astype(np.int16), zero.astype(np.int8)
        products = _wrap(np.asarray(sums, np.int64)).astype(np.int64) * factor
        rounded = (products + (np.int64(1) << np.maximum(shift - 1, 0)) * (shift > 0)) >> shift
        clipped: Array = np.clip(rounded + zero, self.low, self.high)
        return clipped


@dataclass(frozen=True)
class WholeSums(Requantise):
    """No requantisation: sums with their bias are stored as they are, by a STORE of ACC.

    The caller gives the bias of each channel. ``WholeSums()`` has no attributes of its own.
    """

    shift: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.shift, self.low, self.high, self.scaled) != (0, -128, 127, False):
            raise OperatorError(f"requantise: {self}; whole sums have no attributes")

    def result_dtype(self, cfg: VTAConfig) -> str:
        return cfg.acc_dtype

    def check(self, cfg: VTAConfig) -> None:
        if Capability.STORE_ACC not in capabilities_of(cfg):
            raise OperatorError(
                f"requantise: whole sums need {describe(Capability.STORE_ACC)} of the instruction "
                f"set extension; EXTENSION is {cfg.extension} (set it to 1, "
                f"or use Requantise)"
            )

    def _chain(self) -> list[tuple[str, str, int | str]]:
        return [("biased", "add", "bias")]

    def reference(self, sums: Array, multiplier: Array | None = None) -> Array:
        """The sums at 32 bits."""
        return _wrap(np.asarray(sums, np.int64))


def require_rule(operator: str, requantise: object) -> None:
    """Refuse what is no rule of requantisation.

    Raises
    ------
    OperatorError
        Naming the operator and what was given.
    """
    if not isinstance(requantise, Requantise):
        raise OperatorError(
            f"{operator}: requantise is {requantise!r}; must be a Requantise, OnePass or WholeSums"
        )


def one_pass_on(cfg: VTAConfig) -> bool:
    """Whether a machine can do :class:`OnePass`."""
    return Capability.REQUANTISE in capabilities_of(cfg)


def _require_bounds(bounds: Sequence[int]) -> None:
    """Sums must fit 32 bits."""
    if max(bounds, default=0) >= 1 << 31:
        raise OperatorError(
            f"requantise: sums reach {int(max(bounds))} in magnitude; must be below 2^31"
        )


def choose_scales(
    scales: Sequence[float], bounds: Sequence[int] = (), *, zero: int = 0
) -> tuple[int, ...]:
    """The words of :class:`OnePass` for real scales: of each channel the largest multiplier that
    fits 16 bits, so that its relative error is below 2^-15.

    Parameters
    ----------
    scales : sequence of float
        Of each channel: the scale of the sums over that of the result; positive.
    bounds : sequence of int
        The largest magnitudes that sums with their bias can have, if they are to be checked.
    zero : int
        Of the result.

    Raises
    ------
    OperatorError
        If a scale is not positive, or more than a multiplier, or a bound exceeds 31 bits.
    EncodingError
        If ``zero`` does not fit 8 bits.
    """
    _require_bounds(bounds)
    words = []
    for scale in scales:
        if not (0 < scale <= MOST_MULTIPLIER):
            raise OperatorError(
                f"requantise: a scale is {scale}; must be positive and at most {MOST_MULTIPLIER}"
            )
        shift = next(
            shift for shift in range(MOST_ONE_PASS_SHIFT, -1, -1)
            if round(scale * 2.0**shift) <= MOST_MULTIPLIER
        )  # fmt: skip
        words.append(Scale(round(scale * 2.0**shift), shift, zero).word)
    return tuple(words)


@dataclass(frozen=True)
class Scaling:
    """The integers that stand for real scales; one multiplier a channel."""

    multipliers: tuple[int, ...]
    shift: int
    pre_shift: int


def choose(
    scales: Sequence[float],
    bounds: Sequence[int],
    *,
    zero: int = 0,
    low: int = -128,
    high: int = 127,
) -> Scaling:
    """Multipliers and shifts for real scales, such that no 32-bit operation wraps.

    The error bound of a result, in units of its last place, is half a unit of the multiplier's last
    place times the largest sum that is not clipped, and what rounding before the multiplication
    adds. The smallest ``pre_shift`` is taken whose bound is at most :data:`ENOUGH`, or else the one
    with the smallest bound.

    Parameters
    ----------
    scales : sequence of float
        Of each channel: the scale of the sums over that of the result; positive.
    bounds : sequence of int
        Of each channel: the largest magnitude that a sum with its bias can have.
    zero, low, high : int
        Of the result.

    Raises
    ------
    OperatorError
        If a scale is not positive and finite, or a bound exceeds 31 bits.
    """
    real = np.asarray(scales, np.float64)
    bound = np.asarray(bounds, np.float64)
    if not (np.isfinite(real).all() and (real > 0).all()):
        wrong = float(real[~(np.isfinite(real) & (real > 0))][0])
        raise OperatorError(f"requantise: a scale is {wrong}; must be positive and finite")
    _require_bounds(bounds)
    best: tuple[float, int, int, Array] | None = None
    # A sum beyond this is clipped, whatever the error of its multiplier.
    reach = np.minimum(bound, (max(abs(low - zero), abs(high - zero)) + 1) / real)
    for pre in range(31):
        if (bound + half(pre) >= 2.0**31).any() or (best is not None and best[0] <= ENOUGH):
            break
        narrow = np.floor((bound + half(pre)) / 2.0**pre) + 1
        for shift in range(MOST_SHIFT, -1, -1):
            factors = np.rint(real * 2.0 ** (pre + shift))
            last = half(shift) + abs(zero) * 2.0**shift
            if (narrow * factors + last >= 2.0**31).any() or (factors >= 2.0**31).any():
                continue
            error = np.abs(factors * 2.0 ** -(pre + shift) - real) * reach + half(pre) * real
            worst = float(error.max())
            if best is None or worst < best[0]:
                best = worst, pre, shift, factors.astype(np.int64)
            break  # a smaller shift has coarser multipliers
    if best is None:
        raise OperatorError(
            f"requantise: scales up to {real.max():g} of sums up to {int(bound.max())} exceed 32 "
            f"bits; results of such a layer would all be clipped"
        )
    _, pre, shift, found = best
    return Scaling(tuple(int(factor) for factor in found), shift, pre)
