"""A device array that was freed can neither read nor overwrite the array that took its place, on
any target."""

import gc

import numpy as np
import pytest

from tests.support.devices import KINDS, opened
from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from vta.errors import DeviceError
from vta.runtime import array, empty
from vta.runtime.placement import LocalPlacement
from vta.runtime.simulated import SimDevice

AFTER_FREE = "is used after free"


@pytest.fixture(params=KINDS)
def device(request, tmp_path):
    with opened(request.param, tmp_path) as opened_device:
        yield opened_device


def test_every_use_is_refused_and_the_successor_is_untouched(device):
    module = vadd_module()
    arrays, _ = vadd_arrays(device)
    freed, other, result = arrays
    place = freed.address
    freed.free()
    successor = array(np.full(freed.shape, 7, np.int32), device)
    assert successor.address == place, "the memory was to be used anew"
    for use in (
        freed.numpy,
        freed.asnumpy,
        lambda: freed.copyfrom(np.zeros(freed.shape, np.int32)),
        lambda: freed.address,
        lambda: freed.overlaps(other),
        lambda: other.overlaps(freed),
        lambda: module(freed, other, result),
        lambda: module(other, freed, result),
        lambda: module.time_evaluator("vadd", device, number=1)(freed, other, result),
    ):
        with pytest.raises(DeviceError, match=AFTER_FREE):
            use()
    result.free()
    with pytest.raises(DeviceError, match=AFTER_FREE):
        module(successor, other, result)
    np.testing.assert_array_equal(successor.numpy(), 7)


def test_a_second_free_does_nothing(device):
    first = empty((4,), "int8", device)
    place = first.address
    first.free()
    second = array(np.arange(4, dtype=np.int8), device)
    assert second.address == place
    first.free()
    assert array(np.zeros(4, np.int8), device).address != place, "the second free() freed it"
    del first
    gc.collect()
    np.testing.assert_array_equal(second.numpy(), range(4))


def test_what_a_freed_array_says(device):
    freed = empty((4, 2), "int8", device)
    assert f"at 0x{freed.address:x})" in repr(freed)
    freed.free()
    assert repr(freed) == f"DeviceArray(4x2 int8 on {device.name} (freed))"
    with pytest.raises(DeviceError) as error:
        freed.numpy()
    assert str(error.value) == "a device array of int8 and shape (4, 2) is used after free()"


def test_a_freed_placement_does_not_run():
    device = SimDevice(TINY, memory_bytes=1 << 20)
    arrays, _ = vadd_arrays(device)
    placement = LocalPlacement(vadd_module().program, device)
    addresses = [item.address for item in arrays]
    placement.run(addresses)
    placement.free()
    placement.free()
    successor = array(np.full((4096,), 7, np.int8), device)
    for use in (
        lambda: placement.run(addresses),
        lambda: placement.run(addresses[::-1]),
        lambda: placement.measure(addresses, 1, 1),
    ):
        with pytest.raises(DeviceError, match="the placement of program 'vadd' is used after free"):
            use()
    np.testing.assert_array_equal(successor.numpy(), 7)
