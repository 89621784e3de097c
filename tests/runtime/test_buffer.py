"""Device arrays: what is written comes back, wrong shapes and types do not go in."""

import gc

import numpy as np
import pytest

from vta.config import VTAConfig
from vta.errors import DeviceError
from vta.runtime import DeviceArray, array, empty
from vta.runtime.simulated import SimDevice


@pytest.fixture
def device():
    return SimDevice(VTAConfig.preset("tiny"), memory_bytes=1 << 20)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_round_trip(device, dtype):
    info = np.iinfo(dtype)
    values = np.array([[info.min, info.max, 1], [2, 3, 4]], dtype)
    x = array(values, device)
    assert x.shape == (2, 3) and x.dtype == dtype and x.address % 4096 == 0
    np.testing.assert_array_equal(x.numpy(), values)
    assert x.numpy().dtype == values.dtype
    assert (
        device.read(x.address, x.nbytes) == values.astype(values.dtype.newbyteorder("<")).tobytes()
    )


def test_four_bit_values_lie_two_in_a_byte(device):
    x = array(np.array([-8, 7, 1, -1, 3], np.int8), device, "int4")
    assert x.nbytes == 3
    assert device.read(x.address, 3) == bytes([0x78, 0xF1, 0x03])
    assert x.numpy().tolist() == [-8, 7, 1, -1, 3]
    with pytest.raises(DeviceError, match=r"values of int4 must be in -8\.\.7"):
        x.copyfrom(np.array([8, 0, 0, 0, 0], np.int8))


def test_strided_arrays_are_copied_in_order(device):
    values = np.arange(24, dtype=np.int32).reshape(4, 6)
    np.testing.assert_array_equal(array(values.T[::2], device).numpy(), values.T[::2])


def test_a_new_array_is_zero(device):
    first = array(np.full(1000, 7, np.int8), device)
    first.free()
    assert not empty((1000,), "int8", device).numpy().any()
    assert empty((2,), np.int16, device).dtype == "int16"


def test_memory_comes_back_with_garbage_collection(device):
    for _ in range(100):
        empty((300_000,), "int8", device)
        gc.collect()


def test_an_array_that_does_not_fit(device):
    with pytest.raises(DeviceError, match="no device memory for 2097152 bytes"):
        empty((1 << 21,), "int8", device)


def test_wrong_sources(device):
    x = empty((2, 3), "int32", device)
    with pytest.raises(DeviceError, match=r"shape \(3, 2\) into a tensor of shape \(2, 3\)"):
        x.copyfrom(np.zeros((3, 2), np.int32))
    with pytest.raises(DeviceError, match="dtype int64 into a tensor of int32"):
        x.copyfrom(np.zeros((2, 3), np.int64))
    with pytest.raises(DeviceError, match="dtype of a device array is float32"):
        array(np.zeros(3, np.float32), device)
    with pytest.raises(DeviceError, match="extents must be positive"):
        DeviceArray(device, (0,), "int8")


def test_a_closed_device(device):
    x = empty((2,), "int8", device)
    device.close()
    with pytest.raises(DeviceError, match="the device sim is closed"):
        x.numpy()
    x.free()  # nothing to give back


def test_reads_and_writes_stay_in_one_buffer(device):
    x = empty((10,), "int8", device)
    with pytest.raises(DeviceError, match="not in one allocated buffer"):
        device.read(x.address, 11)
    with pytest.raises(DeviceError, match="not in one allocated buffer"):
        device.write(x.address + 5, bytes(6))


def test_a_part_lies_in_the_memory_of_the_whole(device):
    values = np.arange(24, dtype=np.int32).reshape(1, 4, 6)
    whole = array(values, device)
    part = whole.part(1, 1, 3)
    assert part.shape == (1, 2, 6) and part.address == whole.address + 24
    np.testing.assert_array_equal(part.numpy(), values[:, 1:3])
    part.copyfrom(np.full((1, 2, 6), 7, np.int32))
    assert (whole.numpy()[0, 1:3] == 7).all() and (whole.numpy()[0, 3] == values[0, 3]).all()
    np.testing.assert_array_equal(part.part(1, 1, 2).numpy(), whole.numpy()[:, 2:3])


def test_a_part_keeps_the_memory_and_does_not_free_it(device):
    part = array(np.arange(6, dtype=np.int8), device).part(0, 2, 4)
    gc.collect()
    np.testing.assert_array_equal(part.numpy(), [2, 3])
    with pytest.raises(DeviceError, match="is a part of another array, which owns the memory"):
        part.free()
    whole = array(np.arange(6, dtype=np.int8), device)
    part = whole.part(0, 0, 1)
    whole.free()
    with pytest.raises(DeviceError, match=r"is used after free\(\)"):
        part.numpy()


def test_what_is_no_part(device):
    whole = array(np.zeros((2, 3), np.int8), device)
    with pytest.raises(DeviceError, match=r"part\(1, 0, 4\) .* must be an axis, and entries"):
        whole.part(1, 0, 4)
    with pytest.raises(DeviceError, match="is not contiguous, since an extent before axis 1 is"):
        whole.part(1, 0, 2)
    odd = array(np.zeros((4, 3), np.int8), device, "int4")
    with pytest.raises(DeviceError, match="an entry is no whole number of bytes"):
        odd.part(0, 1, 2)


def test_int4_as_numpy_type(device):
    """`x.astype(A.dtype)` of any user's code, for machines with values of 4 bits."""
    wide = np.random.default_rng(1).integers(-100, 100, (3, 5))
    for dtype, low in (("int4", -8), ("uint4", 0)):
        x = wide.astype(dtype)
        expected = (wide - low) % 16 + low
        y = array(x, device)
        assert (y.dtype, y.nbytes, y.numpy().dtype.itemsize) == (dtype, 8, 1)
        np.testing.assert_array_equal(y.numpy(), expected)
        np.testing.assert_array_equal(y.numpy(), x)
        z = empty(x.shape, x.dtype, device).copyfrom(x)
        assert z.dtype == dtype
        np.testing.assert_array_equal(z.numpy(), expected)
