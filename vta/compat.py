"""For programs written for TVM: the names of ``tvm`` that VTA's tutorials use.

Replace only the import lines::

    from vta.compat import tvm, utils          # import tvm; from tvm.contrib import utils
    from vta import te, topi, rpc              # from tvm import te, topi, rpc
    from vta.testing import simulator

What is here does what the name says on VTA's own compiler and runtime. A part of TVM that has no
counterpart (``autotvm``, ``relay`` ...) is a :class:`~vta.errors.NotProvidedError` that says what
to use instead; every other name is an AttributeError.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import numpy.typing as npt

from vta import rpc, te, topi
from vta.build_module import LOOP_NEST, build
from vta.build_module import lower as _vta_lower
from vta.build_target import BuildTarget
from vta.errors import DeviceError, NotProvidedError
from vta.runtime.buffer import DeviceArray, array, empty
from vta.testing import simulator
from vta.testing.convolutions import conv2d_nchw_python, conv2d_transpose_nchw_python

if TYPE_CHECKING:
    from vta.compiler.schedule.schedule import Schedule
    from vta.compiler.te.tensor import Tensor
    from vta.compiler.tir.ir import PrimFunc
    from vta.runtime.device import Device

__all__ = ["conv2d_nchw_python", "conv2d_transpose_nchw_python", "simulator", "tvm", "utils"]


def _lower(
    schedule: Schedule, args: Sequence[Tensor], *, simple_mode: bool = True, name: str = "main"
) -> PrimFunc:
    """The loop nest of a schedule before anything is replaced by the machine's operations."""
    return _vta_lower(schedule, args, stage=LOOP_NEST, name=name, simple_mode=simple_mode)


def _enabled(feature: str) -> bool:
    """Whether the runtime has a feature: ``rpc`` and ``ext_dev`` are part of the package."""
    return feature in ("rpc", "ext_dev")


class TempDirectory:
    """A folder that goes away with the object."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="vta-"))
        self._remove = weakref.finalize(self, rmtree, self.path, ignore_errors=True)

    def relpath(self, name: str) -> str:
        """The path of a file in the folder."""
        return str(self.path / name)


def _assert_allclose(
    actual: npt.ArrayLike, desired: npt.ArrayLike, rtol: float = 1e-7, atol: float = 1e-7
) -> None:
    """Raise AssertionError unless the arrays have one shape and values within the tolerances."""
    actual, desired = np.asarray(actual), np.asarray(desired)
    np.testing.assert_equal(actual.shape, desired.shape)
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol)


def _empty(
    shape: int | tuple[int, ...],
    dtype: str = "float32",
    device: Device | None = None,
    ctx: Device | None = None,
) -> DeviceArray:
    """:func:`vta.runtime.empty`; ``ctx`` is the old name of ``device``."""
    return empty(shape, dtype, _device("empty", device, ctx))


def _array(
    arr: npt.ArrayLike, device: Device | None = None, ctx: Device | None = None
) -> DeviceArray:
    """:func:`vta.runtime.array`; ``ctx`` is the old name of ``device``."""
    return array(arr, _device("array", device, ctx))


def _device(what: str, device: Device | None, ctx: Device | None) -> Device:
    if (device is None) == (ctx is None):
        raise DeviceError(
            f"tvm.nd.{what}: device and ctx are {'missing' if ctx is None else 'both given'}; one "
            f"of them must be the device of a session, session.ext_dev(0)"
        )
    return device if device is not None else ctx  # type: ignore[return-value]


_NOT_PROVIDED = {
    "autotvm": "choose the tiles of a schedule yourself (docs/compiler/schedule.md) and compare "
    "the cycles that the runs on tsim report (docs/compiler/modules.md)",
    "relay": "compile a quantised ONNX model (docs/networks/networks.md), or write each operator "
    "with vta.te, vta.topi and a schedule (docs/tutorials/kernel.md)",
}
_NOT_PROVIDED |= {
    "auto_scheduler": _NOT_PROVIDED["autotvm"],
    "meta_schedule": _NOT_PROVIDED["autotvm"],
    "relax": _NOT_PROVIDED["relay"],
}


def _refuse(name: str) -> NoReturn:
    raise NotProvidedError(f"tvm.{name} is no part of this package; {_NOT_PROVIDED[name]}")


class _Tvm(SimpleNamespace):
    """The names of ``tvm``."""

    def __getattr__(self, name: str) -> NoReturn:
        if name in _NOT_PROVIDED:
            _refuse(name)
        names = ", ".join(sorted(vars(self)))
        raise AttributeError(f"vta.compat.tvm has no {name}; it has {names}")


def __getattr__(name: str) -> NoReturn:
    if name in _NOT_PROVIDED:
        _refuse(name)
    raise AttributeError(f"module 'vta.compat' has no attribute {name!r}")


utils = SimpleNamespace(tempdir=TempDirectory)

tvm = _Tvm(
    build=build,
    contrib=SimpleNamespace(utils=utils),
    lower=_lower,
    nd=SimpleNamespace(array=_array, empty=_empty),
    rpc=rpc,
    runtime=SimpleNamespace(enabled=_enabled),
    target=SimpleNamespace(Target=BuildTarget),
    te=te,
    tir=SimpleNamespace(
        all=te.all, any=te.any, const=te.const, if_then_else=te.if_then_else, max=te.max, min=te.min
    ),
    testing=SimpleNamespace(assert_allclose=_assert_allclose),
    topi=SimpleNamespace(
        **{name: getattr(topi, name) for name in topi.__all__},
        testing=SimpleNamespace(
            conv2d_nchw_python=conv2d_nchw_python,
            conv2d_transpose_nchw_python=conv2d_transpose_nchw_python,
        ),
    ),
)
"""The names, nested as in TVM."""
