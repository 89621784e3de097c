"""Messages: what is encoded decodes to the same, and everything else is refused."""

import contextlib
import json
import random
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vta import errors
from vta.errors import (
    ConfigError,
    DeadlockError,
    DeviceError,
    DramRangeError,
    ExecutionError,
    RemoteError,
    VTAError,
)
from vta.isa import IllegalEncodingError
from vta.run_result import Counters, RunResult
from vta.runtime.remote import wire

NUMBERS = st.integers(0, 2**63 - 1)
LISTS = st.lists(NUMBERS, max_size=8)
NAMES = st.text(max_size=255)
REQUESTS = st.one_of(
    st.builds(wire.Alloc, NUMBERS),
    st.builds(wire.Free, LISTS, LISTS),
    st.builds(wire.Read, NUMBERS, NUMBERS),
    st.builds(wire.Place, NAMES),
    st.builds(wire.Run, NUMBERS, LISTS),
    st.builds(wire.Measure, NUMBERS, LISTS, NUMBERS, NUMBERS),
    st.builds(wire.Execute, NUMBERS, NUMBERS),
    st.builds(wire.ProgramFpga, NAMES),
)
WITH_PAYLOAD = st.one_of(
    st.builds(wire.Write, NUMBERS), st.builds(wire.Upload, NAMES, NUMBERS, NUMBERS)
)


def message(header, payload=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + payload


@given(REQUESTS)
def test_requests_survive(request):
    assert wire.decode_request(wire.encode_request(request)) == (request, b"")


@given(WITH_PAYLOAD, st.binary(max_size=64))
def test_requests_with_payload_survive(request, payload):
    assert wire.decode_request(wire.encode_request(request, payload)) == (request, payload)


def test_bytes_of_a_message():
    text = b'{"op":"read","addr":4096,"nbytes":2}'
    assert wire.encode_request(wire.Read(4096, 2)) == b"\0\0\0\x24" + text


REFUSED = {
    "a message of text": "{}",
    "has no header": b"\0\0\0",
    "a header of 5 bytes in a message of 8": b"\0\0\0\5null",
    "a header of 4294967295 bytes": b"\xff\xff\xff\xff" + b"x" * 100,
    "a header of 65537 bytes": b"\0\1\0\1" + b" " * 65537,
    "a payload of more than": message({"op": "write", "addr": 0}, bytes(wire.CHUNK_BYTES + 1)),
    "not JSON: Expecting value": message(b""),
    "not JSON: 'utf-8'": message(b"\xff\xfe\xff\xff"),
    "not JSON: maximum recursion": message(b"[" * 60_000),
    "not JSON: Exceeds the limit": message(b'{"op":"alloc","nbytes":' + b"9" * 5000 + b"}"),
    "the header is \\[1\\]; must be a JSON object": message([1]),
    "unknown request None": message({}),
    "unknown request 'exec'": message({"op": "exec"}),
    "unknown request \\['alloc'\\]": message({"op": ["alloc"]}),
    "alloc has the fields \\[\\]; must have \\['nbytes'\\]": message({"op": "alloc"}),
    "alloc has the fields \\['nbytes', 'x'\\]": message({"op": "alloc", "nbytes": 1, "x": 1}),
    "nbytes is '1'; not int": message({"op": "alloc", "nbytes": "1"}),
    "nbytes is True; not int": message({"op": "alloc", "nbytes": True}),
    "nbytes is -1; not int": message({"op": "alloc", "nbytes": -1}),
    "nbytes is 1.0; not int": message({"op": "alloc", "nbytes": 1.0}),
    "nbytes is nan; not int": message(b'{"op":"alloc","nbytes":NaN}'),
    "nbytes is 9223372036854775808": message({"op": "alloc", "nbytes": 1 << 63}),
    "name is 5; not str": message({"op": "place", "name": 5}),
    "name is 'xxxx": message({"op": "place", "name": "x" * 256}),
    "addrs is \\[\\[\\]\\]; not list": message({"op": "run", "placement": 1, "addrs": [[]]}),
    "addrs is \\[0, 0": message({"op": "run", "placement": 1, "addrs": [0] * 4097}),
    "alloc has a payload of 1 bytes": message({"op": "alloc", "nbytes": 1}, b"x"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text):
    with pytest.raises(RemoteError, match=text) as error:
        wire.decode_request(REFUSED[text])
    assert len(str(error.value)) < 500


def test_a_header_that_is_too_long_is_not_sent():
    with pytest.raises(RemoteError, match="at most 65536 and 1048576"):
        wire.encode_request(wire.Place("x" * 70_000))
    with pytest.raises(RemoteError, match="a payload of 1048577 bytes"):
        wire.encode_request(wire.Write(0), bytes(wire.CHUNK_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(data):
    for decode in (wire.decode_request, wire.decode_reply):
        with contextlib.suppress(RemoteError):
            decode(data)


def test_fuzz():
    """Valid messages with damaged bytes, lengths and JSON, for five seconds."""
    rng = random.Random(0)
    seeds = [
        wire.encode_request(wire.Upload("name", 1000, 0), bytes(range(100))),
        wire.encode_request(wire.Measure(3, [4096, 8192], 10, 3)),
        wire.encode_error(DeadlockError("x", index=1, instruction="y", tokens={"l2g": 1})),
        wire.encode_reply({"result": RunResult(Counters(1, 2), 5, {"l2g": 0})}),
        wire.encode_waiting(3),
    ]
    pieces = [b"{", b"}", b"[", b'"', b"null", b"-1", b"1e999", b"\\ud800", b"\0\0\0\0", b"\xff"]
    end, refused, taken = time.monotonic() + 5, 0, 0
    while time.monotonic() < end:
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data) + 1)
            match rng.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    data[at : at + rng.randrange(1, 9)] = rng.choice(pieces)
                case 2:
                    del data[at:]
                case 3:
                    data[:4] = struct.pack(">I", rng.choice([0, 1, len(data), 1 << 31]))
        for decode in (wire.decode_request, wire.decode_reply):
            try:
                decode(bytes(data))
                taken += 1
            except RemoteError:
                refused += 1
    assert refused > 1000 and taken > 100


# ---- replies ------------------------------------------------------------------------------------


def test_replies_survive():
    reply = wire.decode_reply(wire.encode_reply({"addr": 4096}, b"data"))
    assert (reply.values, reply.payload, reply.error, reply.waiting) == (
        {"addr": 4096}, b"data", None, None,
    )  # fmt: skip
    assert wire.decode_reply(wire.encode_waiting(7)).waiting == 7


@pytest.mark.parametrize("cycles", [None, 12345])
def test_results_survive(cycles):
    result = RunResult(Counters(*range(1, 8)), cycles, {"l2g": 0, "g2l": 1})
    reply = wire.decode_reply(wire.encode_reply({"result": result}))
    assert wire.result_from_wire(reply.values["result"]) == result


@pytest.mark.parametrize("content", [None, [], {}, {"counters": {"x": 1}}, {"counters": 5}])
def test_what_is_no_result_is_refused(content):
    with pytest.raises(RemoteError, match="no result of a run"):
        wire.result_from_wire(content)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_keeps_its_class(name):
    error = wire.decode_reply(wire.encode_error(getattr(errors, name)("what is wrong"))).error
    assert type(error) is getattr(errors, name) and str(error) == "what is wrong"


def test_the_details_of_an_execution_error_survive():
    details = {
        "index": 3, "instruction": "load", "heads": {"load": "x"}, "tokens": {"l2g": 1},
    }  # fmt: skip
    sent = DramRangeError("outside", **details)
    got = wire.decode_reply(wire.encode_error(sent)).error
    assert str(got) == str(sent)
    assert {name: getattr(got, name) for name in details} == details


def test_other_errors_become_the_nearest_that_is_known():
    class SpecialError(ConfigError):
        pass

    assert type(wire.decode_reply(wire.encode_error(SpecialError("x"))).error) is ConfigError
    assert type(wire.decode_reply(wire.encode_error(IllegalEncodingError("x"))).error) is not None
    assert type(wire.decode_reply(message({"error": {"type": "os.system"}})).error) is RemoteError
    assert isinstance(wire.decode_reply(message({"error": {}})).error, VTAError)


def test_rubbish_in_an_error_does_no_harm():
    content = {"type": "DeadlockError", "message": 5, "index": "x", "heads": [], "tokens": 1}
    error = wire.decode_reply(message({"error": content})).error
    assert isinstance(error, ExecutionError) and isinstance(error, DeviceError)
    assert error.index is None and error.heads == {} and str(error) == "5"


def test_long_errors_are_cut():
    error = wire.decode_reply(wire.encode_error(DeviceError("x" * 100_000))).error
    assert str(error) == "x" * 16_000 + " ..."


@pytest.mark.parametrize("header", [{}, {"ok": 1}, {"ok": {}, "waiting": 1}, {"waiting": -1}])
def test_what_is_no_reply_is_refused(header):
    with pytest.raises(RemoteError, match="the server's reply has the fields"):
        wire.decode_reply(message(header))
