"""Concatenation and slices as views: programs write the parts of one tensor on a device."""

import numpy as np
import pytest

from vta import rpc
from vta.build_module import build
from vta.compiler.ops import concat, max_pool, slice_channels
from vta.config import VTAConfig
from vta.errors import OperatorError
from vta.runtime import array, empty

CFG = VTAConfig.preset("default")
TINY = VTAConfig.preset("tiny")


@pytest.fixture
def device():
    return rpc.LocalSession(CFG).ext_dev(0)


def test_programs_write_the_parts_of_a_concatenation(device):
    rng = np.random.default_rng(0)
    images = [rng.integers(-128, 128, (1, c, 5, 6)).astype(np.int8) for c in (32, 16, 19)]
    joined = concat([(1, image.shape[1], 4, 5) for image in images], cfg=CFG)
    assert joined.shape == (1, 67, 4, 5)
    whole = empty(joined.tiles, "int8", device)
    for image, part in zip(images, joined.of(whole)):
        op = max_pool(image.shape, 2, cfg=CFG)
        module = build(op.schedule, op.args, name=op.name)
        module(array(op.pack(image)[0], device), part)
    windows = np.lib.stride_tricks.sliding_window_view(joined.reference(*images), (2, 2), (2, 3))
    expected = windows.max(axis=(4, 5))
    np.testing.assert_array_equal(joined.unpack(whole.numpy()), expected)


def test_a_slice_shares_the_memory(device):
    x = np.random.default_rng(0).integers(-128, 128, (1, 19, 3, 3)).astype(np.int8)
    views = slice_channels(x.shape, 8, 11, cfg=TINY)
    whole = array(views.pack(x), device)
    (part,) = views.of(whole)
    assert part.overlaps(whole)
    np.testing.assert_array_equal(part.numpy(), whole.numpy()[:, 2:])
    np.testing.assert_array_equal(views.unpack(whole.numpy()), x)


def test_errors(device):
    with pytest.raises(OperatorError, match=r"shapes \(1, 4, 2\) and \(1, 4, 3\); must be equal"):
        concat([(1, 4, 2), (1, 4, 3)], cfg=TINY)
    with pytest.raises(OperatorError, match="concat: no shapes; must be at least one"):
        concat([], cfg=TINY)
    with pytest.raises(OperatorError, match="a part ends at channel 6; must be a multiple of BLO"):
        concat([(1, 6, 2), (1, 4, 2)], cfg=TINY)
    with pytest.raises(OperatorError, match="2 images; must be at most BATCH, here 1"):
        concat([(2, 4, 2), (2, 4, 2)], cfg=TINY)
    with pytest.raises(OperatorError, match="channels 4 to 12; the tensor has 12"):
        slice_channels((1, 12), 4, 9, cfg=TINY)
    with pytest.raises(OperatorError, match=r"has shape \(1, 2, 1, 4\); must be \(1, 3, 1, 4\)"):
        slice_channels((1, 12), 4, 8, cfg=TINY).of(empty((1, 2, 1, 4), "int8", device))
