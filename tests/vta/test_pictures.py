"""Pictures of differences."""

import numpy as np

from vta.pictures import error_picture


def test_panels():
    want = np.zeros((1, 3, 2, 5), np.int8)
    got = want.copy()
    got[0, 0, 1, 4], got[0, 2, 0, 0] = -4, 2
    picture = error_picture(got, want)
    assert picture.shape == (5, 11)
    assert picture[1, 4] == 255 and picture[3, 0] == 128 and picture[2, 0] == picture[0, 5] == 64
    assert (picture == 0).sum() == 3 * 10 - 2 and (picture[3:, 6:] == 64).all()


def test_equal_tensors_and_vectors():
    assert (error_picture(np.ones(7), np.ones(7)) == np.zeros((1, 7))).all()
