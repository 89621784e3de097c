"""Tensors in device memory."""

from __future__ import annotations

import contextlib
import operator
import weakref
from math import prod
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
import numpy.typing as npt

import vta.int4  # noqa: F401 - registers the type
from vta import dtypes
from vta.errors import CopyNeededError, DeviceError, VTAError
from vta.runtime.array_operators import HostOperators
from vta.runtime.device import require_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vta.runtime.device import Device

__all__ = ["DeviceArray", "array", "empty", "host_dtype", "release"]

_DTYPES = ("int4", "int8", "int16", "int32", "uint4", "uint8", "uint16", "uint32")

_DLPACK_CPU = 1
"""The number of the host's CPU among DLPack's kinds of devices."""


class DeviceArray(HostOperators):
    """A dense row-major tensor in a device's memory; garbage collection frees it.

    NumPy functions, ``==``, indexing, iteration and DLPack (``numpy.from_dlpack``,
    ``torch.from_dlpack``) work on a copy of the values on the host, which each such use makes; on
    every target alike. :meth:`copyfrom` writes. Arithmetic operators (``a + 1``) are refused.

    Parameters
    ----------
    device : Device
        Where it lies.
    shape : tuple of int
        All positive.
    dtype : str
        An integer type. ``int4`` lies two values in a byte, the first in the low half. On the
        host's side it is read as int8 (-8..7) and written from int8 or :mod:`vta.int4`.

    Raises
    ------
    DeviceError
        If there is no memory for it, or shape or dtype are not as above.
    """

    def __init__(self, device: Device, shape: tuple[int, ...], dtype: str) -> None:
        if dtype not in _DTYPES:
            raise DeviceError(
                f"dtype of a device array is {dtype}; must be one of {', '.join(_DTYPES)}"
            )
        device = require_device(device, "a device array")
        self.device = device
        self.shape = _extents(shape)
        self.dtype = dtype
        if any(extent < 1 for extent in self.shape):
            raise DeviceError(f"shape of a device array is {self.shape}; extents must be positive")
        self.nbytes = dtypes.nbytes(self.shape, dtype)
        self._address = device.alloc(self.nbytes)
        self._finalizer = weakref.finalize(self, release, device, self._address)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        place = f"at 0x{self._address:x}" if self._finalizer.alive else "(freed)"
        return f"DeviceArray({shape} {self.dtype} on {self.device.name} {place})"

    @property
    def address(self) -> int:
        """Physical byte address of the first element.

        Raises
        ------
        DeviceError
            If the array was freed: the memory may be another array's by now. Every use of the
            contents goes through this address.
        """
        if not self._finalizer.alive:
            raise DeviceError(
                f"a device array of {self.dtype} and shape {self.shape} is used after free()"
            )
        return self._address

    @property
    def ctx(self) -> Device:
        """The device, under its old name."""
        return self.device

    @property
    def host_dtype(self) -> np.dtype[np.signedinteger[npt.NBitBase]]:
        """The NumPy type of the values on the host's side."""
        return host_dtype(self.dtype)

    def numpy(self) -> npt.NDArray[np.signedinteger[npt.NBitBase]]:
        """A copy on the host, of ``shape`` and ``host_dtype``.

        Raises
        ------
        DeviceError
            If the array was freed, or the device is closed.
        """
        raw = np.frombuffer(self.device.read(self.address, self.nbytes), np.uint8)
        if self.dtype.endswith("int4"):
            values = np.stack([raw & 15, raw >> 4], axis=-1).reshape(-1)[: prod(self.shape)]
            if self.dtype == "int4":
                values = ((values ^ 8) - 8).astype(np.int8)
            return values.reshape(self.shape).astype(self.host_dtype)
        return (
            raw.view(self.host_dtype.newbyteorder("<")).astype(self.host_dtype).reshape(self.shape)
        )

    asnumpy = numpy

    def copyfrom(self, source: npt.ArrayLike) -> DeviceArray:
        """Write the whole tensor; returns itself.

        Raises
        ------
        DeviceError
            If ``source`` has another shape, another dtype, or 4-bit values out of range; if the
            array was freed.
        """
        values = np.asarray(source)
        if values.shape != self.shape:
            raise DeviceError(f"array of shape {values.shape} into a tensor of shape {self.shape}")
        if values.dtype.name == self.dtype:
            values = values.astype(self.host_dtype)
        if values.dtype != self.host_dtype:
            raise DeviceError(f"array of dtype {values.dtype} into a tensor of {self.dtype}")
        if self.dtype.endswith("int4"):
            low, high = (-8, 7) if self.dtype == "int4" else (0, 15)
            if values.min() < low or values.max() > high:
                raise DeviceError(f"values of {self.dtype} must be in {low}..{high}")
            flat = np.append(values.reshape(-1), [0] * (values.size % 2)).astype(np.uint8) & 15
            data = (flat[0::2] | flat[1::2] << 4).tobytes()
        else:
            data = np.ascontiguousarray(values, self.host_dtype.newbyteorder("<")).tobytes()
        self.device.write(self.address, data)
        return self

    # ---- protocols of Python, NumPy and DLPack, all of them on a copy on the host ----------------

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of values."""
        return prod(self.shape)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        if copy is False:
            raise self._copy_needed("np.asarray(..., copy=False)")
        values = self.numpy()
        return values if dtype is None else values.astype(dtype, copy=False)

    def __dlpack__(self, *, copy: bool | None = None, **options: Any) -> Any:
        """A DLPack capsule of a copy on the host; ``options`` are those of the protocol."""
        if copy is False:
            raise self._copy_needed("DLPack with copy=False")
        given = {name: value for name, value in options.items() if value is not None}
        if given.pop("stream", None) is not None:
            raise CopyNeededError(f"{self!r}: DLPack with a stream; the copy is on the host's CPU")
        if not hasattr(np, "from_dlpack") or np.lib.NumpyVersion(np.__version__) < "2.1.0":
            given.clear()  # max_version and dl_device are known to NumPy from then on
        return cast(Any, self.numpy()).__dlpack__(**given)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The host's CPU, where the copy is."""
        return _DLPACK_CPU, 0

    def _copy_needed(self, what: str) -> CopyNeededError:
        return CopyNeededError(
            f"{self!r}: {what} is not possible: the values are in the device's memory; must be "
            f"copied to the host, as .numpy() does"
        )

    def __len__(self) -> int:
        if not self.shape:
            raise DeviceError(f"{self!r} has no dimensions; it has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        len(self)
        return iter(self._read_only())

    def __contains__(self, value: object) -> bool:
        return bool((self == value).any())

    def __getitem__(self, index: Any) -> Any:
        """Values on the host, which cannot be written."""
        return self._read_only()[index]

    def __setitem__(self, index: object, value: object) -> NoReturn:
        raise DeviceError(
            f"{self!r}: single values of a device array cannot be written; change the values on "
            f"the host and write all of them: values = a.numpy(); values[...] = ...; "
            f"a.copyfrom(values)"
        )

    def _read_only(self) -> npt.NDArray[Any]:
        values = self.numpy()
        values.flags.writeable = False
        return values

    def __bool__(self) -> bool:
        if self.size != 1:
            raise DeviceError(
                f"{self!r}: the truth of {self.size} values is ambiguous; use .numpy().any(), "
                f".numpy().all(), np.array_equal(a, b), or `is None`"
            )
        return bool(self.numpy().reshape(-1)[0])

    def __eq__(self, other: object) -> npt.NDArray[np.bool_]:  # type: ignore[override]
        """Equality of the values, element by element, as between NumPy arrays."""
        return cast("npt.NDArray[np.bool_]", self.numpy() == np.asarray(other))

    def __ne__(self, other: object) -> npt.NDArray[np.bool_]:  # type: ignore[override]
        return cast("npt.NDArray[np.bool_]", self.numpy() != np.asarray(other))

    __hash__ = None  # type: ignore[assignment]

    # ---- memory ----------------------------------------------------------------------------------

    def part(self, axis: int, begin: int, end: int) -> DeviceArray:
        """Entries ``begin`` to ``end - 1`` along an axis, in the same memory.

        A program that writes the part writes this array. The part keeps the memory until both are
        gone; :meth:`free` of the whole frees it, of the part is an error.

        Parameters
        ----------
        axis, begin, end : int
            Where to cut; all extents before ``axis`` must be 1, so that the part is contiguous.

        Raises
        ------
        DeviceError
            If there are no such entries, or they are not contiguous whole bytes.
        """
        return _Part(self, axis, begin, end)

    def overlaps(self, other: DeviceArray) -> bool:
        """Whether the two share memory."""
        return (
            self.device is other.device
            and self.address < other.address + other.nbytes
            and other.address < self.address + self.nbytes
        )

    def free(self) -> None:
        """Give the memory back now. Every later use of the array is a DeviceError, except
        ``free()`` itself, which does nothing the second time."""
        self._finalizer()


class _Part(DeviceArray):
    """A contiguous part of another array, in its memory."""

    def __init__(self, whole: DeviceArray, axis: int, begin: int, end: int) -> None:
        shape = whole.shape
        if not 0 <= axis < len(shape) or not 0 <= begin < end <= shape[axis]:
            raise DeviceError(
                f"part({axis}, {begin}, {end}) of {whole!r}: must be an axis, and entries of it"
            )
        if any(extent != 1 for extent in shape[:axis]) and (begin, end) != (0, shape[axis]):
            raise DeviceError(
                f"part({axis}, {begin}, {end}) of {whole!r}: is not contiguous, since an extent "
                f"before axis {axis} is not 1"
            )
        entry = dtypes.nbytes((2, *shape[axis + 1 :]), whole.dtype)
        if entry % 2:  # 4-bit values
            raise DeviceError(
                f"part({axis}, {begin}, {end}) of {whole!r}: an entry is no whole number of bytes"
            )
        self.device, self.dtype = whole.device, whole.dtype
        self.shape = (*shape[:axis], end - begin, *shape[axis + 1 :])
        self.nbytes = dtypes.nbytes(self.shape, self.dtype)
        self._whole = whole
        self._address = whole.address + begin * (entry // 2)
        self._finalizer = whole._finalizer

    def free(self) -> None:
        raise DeviceError(f"{self!r} is a part of another array, which owns the memory; free that")


def host_dtype(dtype: str) -> np.dtype[np.signedinteger[npt.NBitBase]]:
    """The NumPy type on the host's side of a device array's type."""
    return np.dtype({"int4": "int8", "uint4": "uint8"}.get(dtype, dtype))


def release(device: Device, address: int) -> None:
    """Free a buffer whose owner is gone."""
    with contextlib.suppress(VTAError):  # a device that is gone took its memory with it
        device.free(address)


def _extents(shape: object) -> tuple[int, ...]:
    """A shape as a tuple of integers; a single integer stands for one dimension."""
    try:
        return tuple(operator.index(extent) for extent in shape)  # type: ignore[attr-defined]
    except TypeError:
        pass
    try:
        return (operator.index(shape),)  # type: ignore[arg-type]
    except TypeError:
        raise DeviceError(
            f"shape of a device array is {shape!r}; must be a tuple of integers"
        ) from None


def empty(
    shape: int | tuple[int, ...], dtype: npt.DTypeLike | None = None, device: Device | None = None
) -> DeviceArray:
    """A tensor of zeros.

    Parameters
    ----------
    shape : int or tuple of int
        All positive.
    dtype : str or NumPy type
        An integer type.
    device : Device
        Where it is to be.

    Raises
    ------
    DeviceError
        If an argument is missing or not as above, or there is no memory.
    """
    device = require_device(device, "empty(shape, dtype, device)")
    return DeviceArray(device, _extents(shape), _dtype_name(dtype))


def _dtype_name(dtype: npt.DTypeLike | None) -> str:
    if isinstance(dtype, str):
        return dtype
    try:
        return "missing" if dtype is None else np.dtype(dtype).name
    except TypeError:
        return repr(dtype)


def array(
    source: npt.ArrayLike, device: Device | None = None, dtype: str | None = None
) -> DeviceArray:
    """A copy of a NumPy array on a device.

    Parameters
    ----------
    source : array_like
        Of an integer type.
    device : Device
        Where it is to be.
    dtype : str or None
        Needed only to make ``int4`` or ``uint4`` of int8 or uint8; else that of ``source``.

    Raises
    ------
    DeviceError
        If an argument is missing or not as above, or there is no memory.
    """
    device = require_device(device, "array(values, device)")
    values = np.asarray(source)
    return DeviceArray(device, values.shape, dtype or values.dtype.name).copyfrom(values)
