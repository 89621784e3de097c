"""The operators of Python that a device array does not have.

``a + 1`` on the host would hide that the values are copied, and that the accelerator computes
nothing. The message names the copy. With a NumPy array on the other side NumPy computes, as its
functions do, on a copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from vta.errors import DeviceError

__all__ = ["HostOperators"]

_SYMBOLS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "matmul": "@",
    "rshift": ">>",
    "lshift": "<<",
    "and": "&",
    "or": "|",
    "xor": "^",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
}
_COMPARISONS = ("lt", "le", "gt", "ge")
_UNARY = {"neg": "-", "pos": "+", "invert": "~", "abs": "abs"}


def _refuse(array: object, symbol: str, instead: str) -> NoReturn:
    raise DeviceError(
        f"`{symbol}` on {array!r}: operators do not work on arrays in device memory; compute on "
        f"the host with a copy, {instead}, or on the accelerator with a kernel "
        f"(docs/tutorials/kernel.md)"
    )


def _binary(symbol: str, instead: str) -> Callable[[Any, Any], Any]:
    def operator(self: object, other: object) -> Any:
        if isinstance(other, np.ndarray | np.generic):
            return NotImplemented  # NumPy's operator takes a copy
        _refuse(self, symbol, instead)

    return operator


def _always(symbol: str, instead: str) -> Callable[..., NoReturn]:
    def operator(self: object, *_: object) -> NoReturn:
        _refuse(self, symbol, instead)

    return operator


class HostOperators:
    """Base of device arrays: every arithmetic operator is a :class:`~vta.errors.DeviceError`."""

    if not TYPE_CHECKING:  # mypy shall report these operators as missing
        for _name, _symbol in _SYMBOLS.items():
            locals()[f"__{_name}__"] = _binary(_symbol, f"a.numpy() {_symbol} ...")
            if _name not in _COMPARISONS:
                locals()[f"__r{_name}__"] = _binary(_symbol, f"... {_symbol} a.numpy()")
                locals()[f"__i{_name}__"] = _always(
                    f"{_symbol}=", f"a.copyfrom(a.numpy() {_symbol} ...)"
                )
        for _name, _symbol in _UNARY.items():
            _shown = "abs(a.numpy())" if _name == "abs" else f"{_symbol}a.numpy()"
            locals()[f"__{_name}__"] = _always(_symbol, _shown)
        del _name, _symbol, _shown
