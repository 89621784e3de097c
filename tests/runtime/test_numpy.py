"""Device arrays where NumPy, Python and DLPack expect an array, on every target."""

import numpy as np
import pytest

from tests.support.devices import KINDS, opened
from tests.support.small_vadd import TINY
from vta import rpc
from vta.environment import Environment
from vta.errors import ConfigError, CopyNeededError, DeviceError
from vta.runtime import array, empty
from vta.runtime.simulated import SimDevice

VALUES = np.array([[1, -2, 3], [4, 5, -6]], np.int8)


@pytest.fixture(params=KINDS)
def device(request, tmp_path):
    with opened(request.param, tmp_path) as opened_device:
        yield opened_device


def test_numpy_takes_the_values(device):
    x = array(VALUES, device)
    assert type(np.asarray(x)) is np.ndarray and np.asarray(x).dtype == np.int8
    np.testing.assert_array_equal(np.asarray(x), VALUES)
    assert np.array_equal(x, VALUES) and np.array_equal(VALUES, x)
    assert not np.array_equal(x, VALUES + 1)
    np.testing.assert_array_equal(x, VALUES)
    assert np.asarray(x, np.int32).dtype == np.int32
    assert np.add(x, 1).tolist() == (VALUES + 1).tolist() and np.sum(x) == VALUES.sum()
    np.testing.assert_array_equal(np.array([x, x]), [VALUES, VALUES])
    np.testing.assert_array_equal(array(x, device).numpy(), VALUES)
    np.testing.assert_array_equal(empty(x.shape, "int8", device).copyfrom(x), VALUES)


def test_what_numpy_takes_is_a_copy(device):
    x = array(VALUES, device)
    for values in (np.asarray(x), np.array(x, copy=True), np.from_dlpack(x)):
        if values.flags.writeable:
            values[...] = 0
    np.testing.assert_array_equal(x.numpy(), VALUES)
    with pytest.raises(CopyNeededError, match=r"DeviceArray\(2x3 int8 .*copy=False\) is not pos"):
        np.array(x, copy=False)
    assert issubclass(CopyNeededError, ValueError) and issubclass(CopyNeededError, DeviceError)


def test_dlpack_gives_a_copy_on_the_host(device):
    x = array(VALUES, device)
    assert x.__dlpack_device__() == (1, 0)
    taken = np.from_dlpack(x)
    np.testing.assert_array_equal(taken, VALUES)
    with pytest.raises(BufferError, match="DLPack with copy=False is not possible"):
        x.__dlpack__(copy=False)
    with pytest.raises(BufferError, match="DLPack with a stream"):
        x.__dlpack__(stream=1)
    x.free()
    np.testing.assert_array_equal(taken, VALUES)
    for use in (np.from_dlpack, np.asarray, list, lambda a: a == VALUES, lambda a: a[0]):
        with pytest.raises(DeviceError, match="is used after free"):
            use(x)


def test_equality_is_element_by_element(device):
    x, same, other = array(VALUES, device), array(VALUES, device), array(VALUES * 2, device)
    assert (x == same).all() and not (x != same).any()
    np.testing.assert_array_equal(x == other, VALUES * 2 == VALUES)
    np.testing.assert_array_equal(x == VALUES.tolist(), np.full((2, 3), True))
    np.testing.assert_array_equal(x != VALUES, np.full((2, 3), False))
    np.testing.assert_array_equal(x == 4, VALUES == 4)
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


def test_length_items_and_truth(device):
    x = array(VALUES, device)
    assert (len(x), x.ndim, x.size) == (2, 2, 6)
    assert [row.tolist() for row in x] == VALUES.tolist()
    assert x[1, 2] == -6 and x[:, 0].tolist() == [1, 4] and 5 in x
    with pytest.raises(ValueError, match="read-only"):
        x[0][1] = 9
    with pytest.raises(DeviceError, match=r"cannot be written; change the values on the host"):
        x[0, 1] = 9
    with pytest.raises(DeviceError, match="the truth of 6 values is ambiguous"):
        bool(x)
    assert array(np.array([3], np.int8), device) and not array(np.array([0], np.int8), device)


def test_four_bit_values_are_eight_bits_wide_on_the_host():
    x = array(np.array([-8, 7, 1], np.int8), SimDevice(TINY), "int4")
    assert np.asarray(x).tolist() == np.from_dlpack(x).tolist() == list(x) == [-8, 7, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: array(VALUES), r"array\(values, device\): the device is missing"),
        (lambda d: array(VALUES, rpc.LocalSession(TINY)), "the device is of type LocalSession"),
        (lambda d: array(d, VALUES), "the device is of type ndarray; must be that of a session"),
        (lambda d: empty((2,), d), r"empty\(shape, dtype, device\): the device is missing"),
        (lambda d: empty((2,), "int8", "sim"), "the device is of type str; must be that of a"),
        (lambda d: empty((2,), None, d), "dtype of a device array is missing; must be one of"),
        (lambda d: empty((2,), "float32", d), "dtype of a device array is float32"),
        (lambda d: empty((2.5,), "int8", d), r"is \(2.5,\); must be a tuple of integers"),
        (lambda d: empty("ab", "int8", d), "is 'ab'; must be a tuple of integers"),
    ],
)
def test_wrong_calls_are_named(make, message):
    with pytest.raises(DeviceError, match=message):
        make(SimDevice(TINY))


def test_one_dimension_may_be_an_integer():
    assert empty(5, "int8", SimDevice(TINY)).shape == (5,)


def test_a_session_needs_a_configuration():
    for wrong in (Environment(TINY), "sim"):
        with pytest.raises(
            ConfigError, match=r"LocalSession: cfg is .*; must be a VTAConfig \(env"
        ):
            rpc.LocalSession(wrong)


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (
            lambda a: a + 1,
            r"`\+` on DeviceArray\(6 int8 .*a copy, a\.numpy\(\) \+ \.\.\., or on",
        ),
        (lambda a: 1 - a, r"`-` on DeviceArray.*a copy, \.\.\. - a\.numpy\(\), or"),
        (lambda a: a * a, r"`\*` on DeviceArray"),
        (lambda a: a < 1, r"`<` on DeviceArray.*a\.numpy\(\) < \.\.\., or"),
        (lambda a: a > 1, r"`>` on DeviceArray"),
        (lambda a: -a, r"`-` on DeviceArray.*a copy, -a\.numpy\(\), or"),
        (lambda a: abs(a), r"`abs` on DeviceArray.*a copy, abs\(a\.numpy\(\)\), or"),
        (lambda a: a.__iadd__(1), r"`\+=` on .*a copy, a\.copyfrom\(a\.numpy\(\) \+ \.\.\.\), or"),
        (lambda a: a.__iadd__(np.ones(6, np.int8)), r"`\+=` on DeviceArray"),
    ],
)
def test_operators_are_refused(compute, message):
    a = array(np.arange(6, dtype=np.int8), SimDevice(TINY))
    with pytest.raises(DeviceError, match=message):
        compute(a)
    assert a.numpy().tolist() == [0, 1, 2, 3, 4, 5]


def test_operators_of_numpy_arrays_take_a_copy():
    a, ones = array(np.arange(3, dtype=np.int8), SimDevice(TINY)), np.ones(3, np.int8)
    for result, expected in ((a + ones, [1, 2, 3]), (ones - a, [1, 0, -1]), (a < ones, [1, 0, 0])):
        assert isinstance(result, np.ndarray) and result.tolist() == expected
    assert (a * np.int8(2)).tolist() == [0, 2, 4]
