"""Tiles: every value at its place, zeros around, and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta.errors import TensorError
from vta.packing import pack, packed_shape, unpack


@given(data=st.data())
def test_every_value_has_its_place(data):
    draw = data.draw
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=4)))
    axes = tuple(draw(st.permutations(range(len(shape))))[:2])
    tile = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    values = np.arange(1, np.prod(shape) + 1, dtype=np.int16).reshape(shape)
    tiles = pack(values, tile, axes)
    assert tiles.dtype == np.int16 and tiles.shape == packed_shape(shape, tile, axes)
    seen = 0
    for place in np.ndindex(tiles.shape):
        at = list(place[:-2])
        for axis, size, inside in zip(axes, tile, place[-2:]):
            at[axis] = at[axis] * size + inside
        inside_shape = all(n < extent for n, extent in zip(at, shape))
        assert tiles[place] == (values[tuple(at)] if inside_shape else 0)
        seen += inside_shape
    assert seen == values.size
    np.testing.assert_array_equal(unpack(tiles, shape, axes), values)


def test_shapes_of_the_layouts():
    assert packed_shape((3, 100), (1, 16)) == (3, 7, 1, 16)  # activations
    assert packed_shape((1, 3, 7, 9), (2, 16)) == (1, 1, 7, 9, 2, 16)  # NCHW to NCHWnc
    assert packed_shape((7, 9, 100), (1, 16), (0, 2)) == (7, 9, 7, 1, 16)


def test_mistakes_are_told():
    with pytest.raises(TensorError, match=r"axes are \(0, 0\); must be two different axes"):
        pack(np.zeros((2, 2)), (1, 4), (0, 0))
    with pytest.raises(TensorError, match=r"axes are \(0, 2\); .* of 2 dimensions"):
        pack(np.zeros((2, 2)), (1, 4), (0, 2))
    with pytest.raises(TensorError, match=r"the tile is \(1, 0\)"):
        pack(np.zeros((2, 2)), (1, 0))
    with pytest.raises(TensorError, match=r"\(1, 2, 1, 4\) are no tiles, along .* of \(1, 9\)"):
        unpack(np.zeros((1, 2, 1, 4)), (1, 9))
