"""Tensors in device memory."""

from __future__ import annotations

import contextlib
import weakref
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

import vta.int4  # noqa: F401 - registers the type
from vta.errors import DeviceError, VTAError

if TYPE_CHECKING:
    from vta.runtime.device import Device

__all__ = ["DeviceArray", "array", "empty", "release"]

_DTYPES = ("int4", "int8", "int16", "int32", "uint4", "uint8", "uint16", "uint32")


class DeviceArray:
    """A dense row-major tensor in a device's memory; garbage collection frees it.

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
        self.device = device
        self.shape = tuple(int(extent) for extent in shape)
        self.dtype = dtype
        if any(extent < 1 for extent in self.shape):
            raise DeviceError(f"shape of a device array is {self.shape}; extents must be positive")
        self.nbytes = (prod(self.shape) * int(dtype.rpartition("int")[2]) + 7) // 8
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
        return np.dtype({"int4": "int8", "uint4": "uint8"}.get(self.dtype, self.dtype))

    def numpy(self) -> npt.NDArray[np.signedinteger[npt.NBitBase]]:
        """A copy on the host, of :attr:`shape` and :attr:`host_dtype`.

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


def release(device: Device, address: int) -> None:
    """Free a buffer whose owner is gone."""
    with contextlib.suppress(VTAError):  # a device that is gone took its memory with it
        device.free(address)


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike, device: Device) -> DeviceArray:
    """A tensor of zeros on ``device``."""
    return DeviceArray(device, shape, dtype if isinstance(dtype, str) else np.dtype(dtype).name)


def array(source: npt.ArrayLike, device: Device, dtype: str | None = None) -> DeviceArray:
    """A copy of a NumPy array on ``device``. ``dtype`` is needed only to make ``int4`` of int8."""
    values = np.asarray(source)
    return DeviceArray(device, values.shape, dtype or values.dtype.name).copyfrom(values)
