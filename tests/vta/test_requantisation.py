"""The operands of REQUANTISE as bits, by hand, and what does not fit."""

import pytest

from vta.errors import EncodingError
from vta.isa import Limits, Scale


@pytest.mark.parametrize(
    ("scale", "word"),
    [
        (Scale(1, 0), 1),
        (Scale(-1, 0), 0xFFFF),
        (Scale(-(2**15), 63, 127), 0x8000 | 63 << 16 | 127 << 22),
        (Scale(3, 17, -128), 3 | 17 << 16 | 128 << 22),
    ],
)
def test_a_lane_of_the_parameter_tile(scale, word):
    assert scale.word == word and Scale.of_word(word) == scale
    assert Scale.of_word(word - (1 << 31)) == scale  # bits 30 and 31 have no meaning


@pytest.mark.parametrize(
    ("limits", "imm"),
    [(Limits(), 0x7F80), (Limits(0, 127), 0x7F00), (Limits(-2, -1), 0xFFFE - (1 << 16))],
)
def test_limits(limits, imm):
    assert limits.immediate == imm and Limits.of_immediate(imm) == limits


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (Scale(2**15, 1), "field multiplier is 32768; must be in -32768..32767"),
        (Scale(1, 64), "field shift is 64; must be in 0..63"),
        (Scale(1, 1, -129), "field zero_point is -129; must be in -128..127"),
    ],
)
def test_a_parameter_that_does_not_fit(scale, message):
    with pytest.raises(EncodingError, match=message):
        _ = scale.word


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(0, 128), "field high is 128; must be in -128..127"),
        (Limits(5, 4), "low must not exceed high; got 5 and 4"),
    ],
)
def test_limits_that_do_not_fit(limits, message):
    with pytest.raises(EncodingError, match=message):
        _ = limits.immediate
