"""The serial driver on ports that misbehave, and over a real pseudo terminal."""

import os
import sys
import threading
from itertools import pairwise

import pytest

from tests.support.small_vadd import TINY
from vta import memmap, uartlink
from vta.errors import DeviceError
from vta.isa import capabilities_of
from vta.memmap import IDENTITY, VERSION, config_words
from vta.runtime.drivers.uart import ATTEMPTS, SerialLine, UartMemory, UartRegisters, open_uart
from vta.runtime.targets import open_device
from vta.uartlink import Deframer, Info, Op, Status

INFO = Info(uartlink.MAX_DATA, 0x1000_0000, 1 << 14, 40_000_000, 1_000_000)
CFG = TINY.replace(target="ulx3s")
REGISTERS = {
    "ID": IDENTITY, "VERSION": VERSION, "CONFIG0": config_words(TINY)[0],
    "CONFIG1": config_words(TINY)[1], "CAPS": int(capabilities_of(TINY)),
}  # fmt: skip


def answer(tag, data=b"", status=Status.OK):
    return uartlink.frame(uartlink.ANSWER.pack(tag, status, len(data)) + data)


class Board:
    """The board's end of a line: a register page of plain words and a memory."""

    def __init__(self):
        self.registers = {memmap.register(k).offset: v for k, v in REGISTERS.items()}
        self.memory = bytearray(INFO.memory_bytes)
        self.deframer = Deframer()
        self.asked = []

    def __call__(self, received):
        """What it answers."""
        return b"".join(map(self.one, self.deframer.feed(received)))

    def one(self, payload):
        tag, op, length, address = uartlink.REQUEST.unpack_from(payload)
        data = payload[uartlink.REQUEST.size :]
        self.asked.append((Op(op), address, length))
        at = address - INFO.memory_base
        if op == Op.INFO:
            return answer(tag, INFO.pack())
        if op == Op.READ_REGISTER:
            return answer(tag, self.registers.get(address, 0).to_bytes(4, "little"))
        if op == Op.READ_MEMORY:
            return answer(tag, bytes(self.memory[at : at + length]))
        if op == Op.WRITE_MEMORY:
            self.memory[at : at + length] = data
        else:
            self.registers[address] = int.from_bytes(data, "little")
        return answer(tag)


class Port:
    """A port at whose other end ``board`` answers at once; reading nothing takes its time-out."""

    def __init__(self, board):
        self.board, self.now, self.buffer = board, 0.0, b""
        self.timeout, self.open = None, True

    in_waiting = property(lambda self: len(self.buffer))

    def read(self, size=1):
        if not self.buffer:
            self.now += self.timeout
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def write(self, data):
        self.buffer += self.board(data)

    def reset_input_buffer(self):
        self.buffer = b""

    def close(self):
        self.open = False


def line_to(board):
    port = Port(board)
    return SerialLine(port, "/dev/x", clock=lambda: port.now), port


# ---- what goes over the line --------------------------------------------------------------------


def test_memory_goes_in_pieces():
    board = Board()
    line, _ = line_to(board)
    memory = UartMemory(line)
    assert (memory.base, memory.nbytes) == (INFO.memory_base, INFO.memory_bytes)
    data = bytes(range(250)) * 10
    memory.write(INFO.memory_base + 7, data)
    assert memory.read(INFO.memory_base + 7, 2500) == data
    pieces = [(7, 1024), (7 + 1024, 1024), (7 + 2048, 452)]
    assert board.asked[1:] == [
        (op, INFO.memory_base + at, size)
        for op in (Op.WRITE_MEMORY, Op.READ_MEMORY)
        for at, size in pieces
    ]


def test_tags_differ_from_request_to_request():
    tags = []
    board = Board()

    def noted(received):
        tags.append(Deframer().feed(received)[0][0])
        return board(received)

    line, _ = line_to(noted)
    for _ in range(300):
        line.ask(Op.READ_REGISTER, 0, 4)
    assert 0 not in tags and all(a != b for a, b in pairwise(tags))


def test_time_is_bounded():
    line, port = line_to(Board())
    port.board = lambda received: b""
    before = port.now
    with pytest.raises(DeviceError, match="no answer, 4 times; got nothing"):
        line.ask(Op.READ_MEMORY, INFO.memory_base, 1024)
    assert port.now - before < ATTEMPTS * 0.6


# ---- boards that are none, and answers that are none --------------------------------------------


def test_nobody_answers():
    with pytest.raises(
        DeviceError, match=r"no accelerator answers on /dev/x at 1000000 baud .*INF"
    ):
        line_to(lambda received: b"")


def test_something_else_answers():
    with pytest.raises(DeviceError, match=r"no accelerator answers .* got 7 bytes of no frame"):
        line_to(lambda received: b"login: ")


def test_the_line_is_looped_back():
    with pytest.raises(DeviceError, match="got a strange frame"):
        line_to(lambda received: received)


def test_another_version():
    def board(received):
        return answer(received[1], INFO.pack()[:4] + b"\x09\x00" + INFO.pack()[6:])

    with pytest.raises(DeviceError, match="speaks version 9 of the serial protocol"):
        line_to(board)


def test_late_answers_to_earlier_requests_are_not_taken():
    board = Board()
    line, port = line_to(board)
    port.board = lambda received: answer(200, b"\xff" * 4) + board(received)
    board.registers[0x40] = 77
    assert UartRegisters(line).read(0x40) == 77


@pytest.mark.parametrize(
    ("status", "data", "message"),
    [
        (Status.BAD_ADDRESS, b"", "READ_MEMORY at 0x10000000, 4 bytes, on /dev/x: the board "
         "answers BAD_ADDRESS"),
        (99, b"", "the board answers the unknown status 99"),
        (Status.OK, b"123", "3 bytes of data came, not 4"),
        (Status.OK, b"", "0 bytes of data came, not 4"),
    ],
)  # fmt: skip
def test_refusals_are_not_repeated(status, data, message):
    board = Board()
    line, port = line_to(board)
    asked = []

    def refuse(received):
        asked.append(received)
        return answer(Deframer().feed(received)[0][0], data, status)

    port.board = refuse
    with pytest.raises(DeviceError, match=message):
        line.ask(Op.READ_MEMORY, INFO.memory_base, 4)
    assert len(asked) == 1


def test_a_cable_that_is_pulled():
    line, port = line_to(Board())

    def gone(received):
        raise OSError("[Errno 5] Input/output error")

    port.board = gone
    with pytest.raises(DeviceError, match=r"on /dev/x: \[Errno 5\] Input/output error"):
        line.ask(Op.READ_MEMORY, INFO.memory_base, 4)
    line.close()
    assert not port.open
    with pytest.raises(DeviceError, match="on /dev/x: it is closed"):
        line.ask(Op.READ_MEMORY, INFO.memory_base, 4)


# ---- launches -----------------------------------------------------------------------------------

CONTROL, STATUS = (memmap.register(name).offset for name in ("CONTROL", "STATUS"))


def launched(line):
    UartRegisters(line).write(CONTROL, memmap.CONTROL_LAUNCH)


@pytest.mark.parametrize("status", [memmap.STATUS_BUSY, memmap.STATUS_DONE])
def test_a_launch_whose_answer_is_lost_is_not_repeated(status):
    board = Board()
    line, port = line_to(board)
    board.registers[STATUS] = status

    def deaf(received):
        reply = board(received)
        return b"" if board.asked[-1][:2] == (Op.WRITE_REGISTER, CONTROL) else reply

    port.board = deaf
    launched(line)
    assert [asked[:2] for asked in board.asked].count((Op.WRITE_REGISTER, CONTROL)) == 1


def test_a_launch_that_is_lost_is_repeated():
    board = Board()
    line, port = line_to(board)
    lost = []

    def lossy(received):
        if not lost:
            lost.append(received)
            return b""
        return board(received)

    port.board = lossy
    launched(line)
    assert [asked[:2] for asked in board.asked[1:]] == [
        (Op.READ_REGISTER, STATUS), (Op.WRITE_REGISTER, CONTROL),
    ]  # fmt: skip


def test_a_launch_that_never_arrives():
    board = Board()
    line, port = line_to(board)
    port.board = lambda received: b"" if received[2] == Op.WRITE_REGISTER else board(received)
    with pytest.raises(DeviceError, match="WRITE_REGISTER at 0x14, 4 bytes, on /dev/x: no answer"):
        launched(line)
    assert [asked[0] for asked in board.asked[1:]] == [Op.READ_REGISTER] * ATTEMPTS


# ---- pyserial -----------------------------------------------------------------------------------


@pytest.fixture
def terminal():
    """The name of a terminal at whose other end a board answers."""
    board = Board()
    ours, theirs = os.openpty()

    def serve():
        with os.fdopen(ours, "r+b", buffering=0) as line:
            while True:
                try:
                    received = line.read(4096)
                except OSError:  # the last user of the other end has closed it
                    return
                line.write(board(received))

    thread = threading.Thread(target=serve)
    thread.start()
    yield os.ttyname(theirs)
    os.close(theirs)
    thread.join(10)
    assert not thread.is_alive()


def test_over_a_terminal(terminal):
    device = open_device(CFG, port=terminal)
    assert repr(device) == "ulx3s(1x4_i8w8a32_8_8_10_10)" and device.clock_hz == INFO.clock_hz
    addr = device.alloc(3000)
    device.write(addr, b"\x7e\x11\x13\x00" * 750)  # what terminals like to interpret
    assert device.read(addr, 3000) == b"\x7e\x11\x13\x00" * 750
    with pytest.raises(DeviceError, match=r"cannot be opened: .*; ports here: "):
        open_uart(CFG, terminal)  # one program at a time
    device.close()


def test_another_machine_closes_the_port(terminal):
    with pytest.raises(DeviceError, match=r"the machine is 1x4_i8w8a32_8_8_10_10, the configurat"):
        open_uart(CFG.replace(log_block=3), terminal)
    open_uart(CFG, terminal).close()


def test_a_port_that_is_none():
    with pytest.raises(DeviceError, match=r"/dev/no-such-port cannot be opened: .*; ports here: "):
        open_uart(CFG, "/dev/no-such-port")


def test_no_port_is_given():
    with pytest.raises(DeviceError, match="ulx3s is at the end of a serial line: say which"):
        open_device(CFG)


def test_pyserial_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(
        DeviceError, match=r"needs the Python package pyserial.*pip install.*\[uart\]"
    ):
        open_uart(CFG, "/dev/ttyUSB0")
