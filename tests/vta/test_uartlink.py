"""Frames of the serial protocol: the standard's examples, and no damage that goes unnoticed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta import uartlink
from vta.errors import DeviceError
from vta.uartlink import Answer, Deframer, Info, Op, Status

INFO = Info(1024, 0x1000_0000, 1 << 17, 40_000_000, 1_000_000)


def test_a_frame_by_hand():
    """The check value of CRC-32 (of "123456789") is 0xCBF43926."""
    assert uartlink.frame(b"123456789") == b"\x7e123456789\x26\x39\xf4\xcb\x7e"


def test_flags_and_escapes_are_escaped():
    assert uartlink.frame(b"\x7e\x7d\x5e")[1:6] == b"\x7d\x5e\x7d\x5d\x5e"


def test_a_request_by_hand():
    asked = uartlink.request(5, Op.WRITE_MEMORY, 0x1000_0203, 2, b"ab")
    assert asked.startswith(b"\x7e" + bytes([5, 4, 2, 0, 0x03, 0x02, 0, 0x10]) + b"ab")


@given(st.lists(st.binary(min_size=1), max_size=4), st.randoms(use_true_random=False))
def test_payloads_come_back_however_they_are_cut(payloads, rng):
    line = b"".join(uartlink.frame(payload) for payload in payloads)
    deframer, found = Deframer(), []
    while line:
        at = rng.randint(1, len(line))
        found += deframer.feed(line[:at])
        line = line[at:]
    assert found == payloads and deframer.discarded == 0


def test_one_flag_may_end_one_frame_and_begin_the_next():
    assert Deframer().feed(uartlink.frame(b"a")[:-1] + uartlink.frame(b"b")) == [b"a", b"b"]


def test_damage_is_noticed():
    """Two changed bits anywhere in a frame: it is lost, nothing else comes out of it."""
    rng = random.Random(3)
    whole = uartlink.frame(bytes(range(100)))
    for _ in range(3000):
        damaged = bytearray(whole)
        for at in rng.sample(range(8, 8 * len(whole) - 8), 2):
            damaged[at // 8] ^= 1 << at % 8
        assert Deframer().feed(bytes(damaged)) == []


def test_what_is_discarded_is_counted():
    deframer = Deframer()
    assert deframer.feed(b"\x7e\x7e1234\x7eabc\x7d\x7e") == []
    assert deframer.discarded == 2


def test_answers():
    assert Answer.unpack(b"\x07\x00\x02\x00ab") == Answer(7, Status.OK, b"ab")
    assert Answer.unpack(b"\x07\x00\x02\x00a") is None
    assert Answer.unpack(b"\x07\x00\x02") is None


def test_information():
    assert Info.unpack(INFO.pack()) == INFO
    with pytest.raises(DeviceError, match="must be 24 bytes that begin with b'VTAU'; got b'hello'"):
        Info.unpack(b"hello")
    with pytest.raises(DeviceError, match=r"speaks version 2 .* this program 1; make its bitst"):
        Info.unpack(b"VTAU\x02\x00" + INFO.pack()[6:])
