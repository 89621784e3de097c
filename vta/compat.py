"""For programs written for TVM: the names of ``tvm`` that VTA's tutorials use.

Replace only the import lines::

    from vta.compat import tvm, utils          # import tvm; from tvm.contrib import utils
    from vta import te, topi, rpc              # from tvm import te, topi, rpc
    from vta.testing import simulator

What is here does what the name says on VTA's own compiler and runtime; every other name of TVM is
an AttributeError.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vta import rpc, te, topi
from vta.build_module import LOOP_NEST, build
from vta.build_module import lower as _vta_lower
from vta.runtime.buffer import array, empty
from vta.testing import simulator

if TYPE_CHECKING:
    from vta.compiler.schedule.schedule import Schedule
    from vta.compiler.te.tensor import Tensor
    from vta.compiler.tir.ir import PrimFunc

__all__ = ["conv2d_nchw_python", "simulator", "tvm", "utils"]


def _lower(
    schedule: Schedule, args: Sequence[Tensor], *, simple_mode: bool = True, name: str = "main"
) -> PrimFunc:
    """The loop nest of a schedule before anything is replaced by the machine's operations."""
    return _vta_lower(schedule, args, stage=LOOP_NEST, name=name, simple_mode=simple_mode)


def _enabled(feature: str) -> bool:
    """Whether the runtime has a feature: ``rpc`` and ``ext_dev`` are part of the package."""
    return feature in ("rpc", "ext_dev")


class Target:
    """What a program is built for. There is one kind here, so it only keeps its text."""

    def __init__(self, target: str, host: str | None = None) -> None:
        self.kind, self.host = target, host

    def __str__(self) -> str:
        return self.kind


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


def conv2d_nchw_python(
    data: npt.NDArray[np.int32],
    kernel: npt.NDArray[np.int32],
    stride: int | tuple[int, int],
    padding: int | tuple[int, int],
) -> npt.NDArray[np.int32]:
    """A 2D convolution with NumPy.

    Parameters
    ----------
    data : ndarray, shape (n, c, h, w)
    kernel : ndarray, shape (o, c, kh, kw), of the same dtype
    stride, padding : int or (vertical, horizontal)

    Returns
    -------
    ndarray, shape (n, o, oh, ow), of that dtype
    """
    sy, sx = (stride, stride) if isinstance(stride, int) else stride
    py, px = (padding, padding) if isinstance(padding, int) else padding
    padded = np.pad(data, ((0, 0), (0, 0), (py, py), (px, px)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(2, 3))
    out: npt.NDArray[np.int32] = np.einsum(
        "nchwyx,ocyx->nohw", windows[:, :, ::sy, ::sx], kernel, dtype=data.dtype
    )
    return out


utils = SimpleNamespace(tempdir=TempDirectory)

tvm = SimpleNamespace(
    build=build,
    contrib=SimpleNamespace(utils=utils),
    lower=_lower,
    nd=SimpleNamespace(array=array, empty=empty),
    rpc=rpc,
    runtime=SimpleNamespace(enabled=_enabled),
    target=SimpleNamespace(Target=Target),
    te=te,
    testing=SimpleNamespace(assert_allclose=_assert_allclose),
    topi=SimpleNamespace(
        **{name: getattr(topi, name) for name in topi.__all__},
        testing=SimpleNamespace(conv2d_nchw_python=conv2d_nchw_python),
    ),
)
"""The names, nested as in TVM."""
