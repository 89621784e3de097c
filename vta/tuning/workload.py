"""Workloads: what a schedule is searched for, as data.

A workload is the shape of an operator on GEMM in tiles and its requantisation. Layers of different
networks with the same workload share a schedule.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.compiler import ops
from vta.compiler.ops.conv_shape import ConvShape, TransposedShape
from vta.compiler.ops.cost import Tiling
from vta.compiler.ops.geometry import Window
from vta.compiler.ops.requantise import OnePass, Requantise, WholeSums, one_pass_on
from vta.compiler.ops.residual import Residual
from vta.compiler.ops.tiling_source import tilings_from
from vta.errors import OperatorError, TuningError

if TYPE_CHECKING:
    from vta.compiler.ops.operator import Array, Operator
    from vta.config import VTAConfig

__all__ = ["Workload", "inputs_of", "parse_workload", "recorded"]

_SHAPES: dict[str, type[ConvShape]] = {
    "conv2d": ConvShape,
    "conv2d_transpose": TransposedShape,
}
_RULES: dict[str, type[Requantise]] = {
    "Requantise": Requantise, "OnePass": OnePass, "WholeSums": WholeSums,
}  # fmt: skip
_WINDOW = ("size", "kernel", "stride", "dilation", "padding")
OPERATORS: dict[str, Callable[..., Operator]] = {
    "conv2d": ops.conv2d,
    "conv2d_transpose": ops.conv2d_transpose,
    "dense": ops.dense,
    "batch_matmul": ops.batch_matmul,
}


@dataclass(frozen=True)
class Workload:
    """What a schedule is for.

    Attributes
    ----------
    shape : ConvShape
        The loops in tiles.
    requantise : Requantise
        What the vector ALU does with the sums.
    residual : Residual or None
        How a tensor is added to the result. Its numbers make no other workload: ``shape`` counts
        its operations.
    """

    shape: ConvShape
    requantise: Requantise
    residual: Residual | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls, shape: ConvShape, requantise: Requantise, residual: Residual | None = None
    ) -> Workload | None:
        """The workload of an operator; None if this kind cannot be described."""
        known = type(shape) in _SHAPES.values() and type(requantise) in _RULES.values()
        return cls(shape, requantise, residual) if known else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        shape = {f.name: getattr(self.shape, f.name) for f in fields(self.shape)}
        window = {name: list(getattr(self.shape.window, name)) for name in _WINDOW}
        kind = next(name for name, each in _SHAPES.items() if each is type(self.shape))
        rule = next(name for name, each in _RULES.items() if each is type(self.requantise))
        if "result" in shape:
            shape["result"] = list(shape["result"])
        values = {f.name: getattr(self.requantise, f.name) for f in fields(self.requantise)}
        found: dict[str, Any] = {
            "operator": kind,
            "shape": {**shape, "window": window},
            "requantise": {"rule": rule, **values},
        }
        if self.residual is not None:
            numbers = {f.name: getattr(self.residual, f.name) for f in fields(self.residual)}
            found["residual"] = {**numbers, "multipliers": list(self.residual.multipliers)}
        return found

    @classmethod
    def from_dict(cls, values: Any) -> Workload:
        """The workload of :meth:`to_dict`.

        Raises
        ------
        TuningError
            If the values are none.
        """
        try:
            shape, rule = dict(values["shape"]), dict(values["requantise"])
            _require_known("a workload", values, ("operator", "shape", "requantise", "residual"))
            _require_known("a window", shape["window"], _WINDOW)
            sizes = {name: tuple(map(int, shape["window"][name])) for name in _WINDOW}
            window = Window("conv2d", **sizes)  # type: ignore[arg-type]  # checked by its use
            if "result" in shape:
                shape["result"] = tuple(map(int, shape["result"]))
            made = _SHAPES[values["operator"]](**{**shape, "window": window})
            residual = None
            if values.get("residual") is not None:
                numbers: dict[str, Any] = {
                    name: tuple(value) if name == "multipliers" else int(value)
                    for name, value in values["residual"].items()
                }
                residual = Residual(**numbers)
            if (residual is not None) != (made.added > 0):
                raise ValueError("shape and residual disagree")
            return cls(made, _RULES[rule.pop("rule")](**rule), residual)
        except (KeyError, TypeError, ValueError, OperatorError) as error:
            raise TuningError(f"no workload: {values!r} ({error!r})") from None

    @property
    def key(self) -> str:
        """The workload as text; equal for equal workloads."""
        values = self.to_dict()
        values.pop("residual", None)
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    def title(self, cfg: VTAConfig) -> str:
        """For people: pixels, channels, kernel, as ``56x56x64-128, 3x3/2``."""
        shape, window = self.shape, self.shape.window
        inputs, outputs = shape.inputs * cfg.block_in, shape.outputs * cfg.block_out
        kernel = "x".join(map(str, window.kernel))
        step = f"/{window.stride[0]}" if max(window.stride) > 1 else ""
        kind = " transposed" if isinstance(shape, TransposedShape) else ""
        sets = f", {shape.groups} groups" if shape.groups > 1 else ""
        images = f"{shape.images} x " if shape.images > 1 else ""
        size = "x".join(map(str, window.size))
        added = " + add" if shape.added else ""
        whole = ", whole sums" if isinstance(self.requantise, WholeSums) else ""
        return f"{images}{size}x{inputs}-{outputs}, {kernel}{step}{kind}{sets}{added}{whole}"

    def operator(self, cfg: VTAConfig, tiling: Tiling | None = None) -> Operator:
        """An operator of the library with this workload on a machine, of full tiles.

        Raises
        ------
        OperatorError
            If no tiling, or not the given one, fits.
        """
        shape, window = self.shape, self.shape.window
        data = (
            shape.images * cfg.batch,
            shape.groups * shape.inputs * cfg.block_in,
            *window.size,
        )
        channels = shape.groups * shape.outputs * cfg.block_out
        common: dict[str, Any] = {"cfg": cfg, "requantise": self.requantise, "tiling": tiling}
        if isinstance(shape, TransposedShape):
            extra = tuple(
                result - ((size - 1) * by - low - high + taps)
                for result, size, by, low, high, taps in zip(
                    shape.result, window.size, window.stride, window.padding[:2],
                    window.padding[2:], window.kernel,
                )
            )  # fmt: skip
            return ops.conv2d_transpose(
                data, channels, window.kernel, stride=window.stride, padding=window.padding,
                output_padding=extra, **common,
            )  # fmt: skip
        return ops.conv2d(
            data, channels, window.kernel, stride=window.stride, padding=window.padding,
            dilation=window.dilation, groups=shape.groups, im2col=False, residual=self.residual,
            **common,
        )  # fmt: skip


def _require_known(what: str, values: Mapping[str, Any], names: Iterable[str]) -> None:
    """ValueError if there are other keys: values of a later version would be lost."""
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise ValueError(f"{what} has no {', '.join(unknown)}")


def inputs_of(op: Operator, seed: int) -> list[Array]:
    """Random values over the whole range of each operand; sums of 32 bits stay small.

    The same seed gives the same values on every computer.
    """
    rng = np.random.default_rng(seed)
    bits = {op.cfg.inp_dtype: op.cfg.inp_width, op.cfg.wgt_dtype: op.cfg.wgt_width}
    values: list[Array] = []
    for operand in op.operands:
        if operand.name == "scale":  # of a requantisation in one pass, about 2 ** -8
            words = ops.choose_scales(rng.uniform(0.002, 0.006, operand.shape).tolist())
            values.append(np.array(words, np.int64).astype(np.uint32).view(np.int32))
            continue
        limit = 1 << (bits[operand.dtype] - 1 if operand.dtype in bits else 14)
        values.append(rng.integers(-limit, limit, operand.shape).astype(operand.dtype))
    return values


@contextmanager
def recorded() -> Iterator[list[Workload]]:
    """The workloads of the operators that are made inside, each as often as it is made."""
    found: list[Workload] = []

    def note(
        shape: ConvShape, requantise: Requantise, cfg: VTAConfig, residual: Residual | None
    ) -> Tiling | None:
        workload = Workload.of(shape, requantise, residual)
        if workload is not None:
            found.append(workload)
        return None

    with tilings_from(note):
        yield found


def parse_workload(text: str, cfg: VTAConfig) -> Workload:
    """The workload of a call of :mod:`vta.ops` as text: ``conv2d((1, 64, 56, 56), 64, 3,
    padding=1)``.

    The arguments are literals. ``low`` and ``high`` are the limits of the results; requantisation
    is in one pass where the machine has it, or else a shift by 8 bits.

    Raises
    ------
    TuningError
        If the text is no such call.
    OperatorError
        If its sizes are wrong, or it does not fit the machine.
    """
    kinds = ", ".join(OPERATORS)
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError
        arguments = [ast.literal_eval(each) for each in call.args]
        options: Mapping[str, Any] = {
            str(each.arg): ast.literal_eval(each.value) for each in call.keywords
        }
    except (SyntaxError, ValueError):
        raise TuningError(
            f"{text!r} is neither a file nor a call with literals as arguments, such as "
            f"conv2d((1, 64, 56, 56), 64, 3, padding=1); operators are {kinds}"
        ) from None
    if call.func.id not in OPERATORS:
        raise TuningError(f"{call.func.id}: no operator with tilings; these have: {kinds}")
    limits = {name: value for name, value in options.items() if name in ("low", "high")}
    options = {name: value for name, value in options.items() if name not in limits}
    rule = OnePass(**limits) if one_pass_on(cfg) else Requantise(8, **limits)
    with recorded() as found:
        try:
            OPERATORS[call.func.id](*arguments, cfg=cfg, requantise=rule, **options)
        except TypeError as error:
            raise TuningError(f"{text}: {error}") from None
    return found[0]
