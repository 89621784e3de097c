"""The whole board through its pins: the host's library at one end of a serial line, the Verilog of
the bitstream at the other."""

import numpy as np
import pytest

from tests.support.board_programs import leave_the_memory, matrix_product, own_machine
from tests.support.designs import shared_design
from tests.support.small_vadd import COUNTERS, TINY, vadd_arrays, vadd_module
from tests.support.uart_board import SimulatedBoard
from vta import memmap, uartlink
from vta.boards.bitstream import design_of
from vta.boards.board import find_board
from vta.boards.shells.uart_shell import BAUD, MEMORY_BASE
from vta.boards.ulx3s_85f import MEMORY_BYTES
from vta.config import VTAConfig
from vta.errors import ConfigError, DeviceError
from vta.runtime.drivers.uart import UartRegisters
from vta.uartlink import Answer, Deframer, Info, Op, Status

CONTROL = memmap.register("CONTROL").offset
STATUS = memmap.register("STATUS").offset


@pytest.fixture(scope="module")
def one_board():
    return SimulatedBoard("ulx3s_85f", TINY)


@pytest.fixture
def board(one_board):
    one_board.press_reset()
    one_board.run(5000)
    one_board.receive(1 << 20)
    return one_board


def vector_sum(device, seed=5):
    arrays, expected = vadd_arrays(device, seed)
    result = vadd_module()(*arrays)
    np.testing.assert_array_equal(arrays[2].numpy(), expected)
    return result


def answers(board, cycles=20_000):
    """What the board says to what was sent."""
    board.run(cycles)
    return [Answer.unpack(payload) for payload in Deframer().feed(board.receive(1 << 16))]


# ---- programs -----------------------------------------------------------------------------------


def test_what_the_board_says_of_itself(board):
    info = Info(uartlink.MAX_DATA, MEMORY_BASE, MEMORY_BYTES, board.clock_hz, BAUD)
    assert board.line().info == info


def test_the_sum_of_two_vectors(board):
    device = board.device()
    assert repr(device) == "ulx3s(1x4_i8w8a32_8_8_10_10)"
    result = vector_sum(device)
    assert result.counters.as_dict() == COUNTERS
    assert 0 < result.cycle_count < 1000
    assert not any(result.tokens.values())


def test_a_matrix_product(board):
    assert matrix_product(board.device(), TINY, 2, 4, 4, (2, 2)).counters.gemm_counter == 2 * 4 * 4


def test_memory_of_every_byte_and_alignment(board):
    """Through the bridge and the real memory; all byte values, so all escapes."""
    device = board.device()
    addr = device.alloc(2200)
    data = np.random.default_rng(1).permutation(np.arange(2100) % 256).astype(np.uint8).tobytes()
    device.write(addr + 3, data)
    assert device.read(addr, 2200) == bytes(3) + data + bytes(97)
    device.write(addr + 1001, b"~}")
    assert device.read(addr + 1000, 4) == data[997:998] + b"~}" + data[1000:1001]


def test_a_program_that_leaves_the_memory(board):
    """The memory answers DECERR, the machine reports it, the next run works."""
    device = board.device()
    leave_the_memory(device, TINY, MEMORY_BASE + MEMORY_BYTES)
    vector_sum(device)


# ---- a bad line ---------------------------------------------------------------------------------


class BadPort:
    """A port that changes a byte of some messages: ``bad(direction, number)`` says which."""

    def __init__(self, port, bad):
        self.port, self.bad = port, bad
        self.counts = {"to": 0, "from": 0}
        self.hits = 0

    timeout = property(
        lambda self: self.port.timeout, lambda self, value: setattr(self.port, "timeout", value)
    )
    in_waiting = property(lambda self: self.port.in_waiting)

    def _spoilt(self, direction, data):
        self.counts[direction] += 1
        if not self.bad(direction, self.counts[direction]):
            return data
        self.hits += 1
        at = len(data) // 2
        return data[:at] + bytes([data[at] ^ 0x04]) + data[at + 1 :]

    def write(self, data):
        return self.port.write(self._spoilt("to", data))

    def read(self, size=1):
        """Whole answers, so that each can be hit once."""
        data = self.port.read(size)
        while data and (data.count(uartlink.FLAG) < 2):
            more = self.port.read(1)
            if not more:
                break
            data += more
        return self._spoilt("from", data) if data else data

    def reset_input_buffer(self):
        self.port.reset_input_buffer()

    def close(self):
        self.port.close()


@pytest.mark.parametrize("direction", ["to", "from"])
def test_one_message_in_five_is_damaged(board, direction):
    """The launch among them: the result is right, and the program ran once."""
    port = BadPort(board.port, lambda way, number: way == direction and number % 5 == 0)
    vector_sum(board.device(port=port))
    assert port.hits > 5


@pytest.mark.parametrize("direction", ["to", "from"])
def test_a_launch_that_is_lost_or_whose_answer_is(board, direction, monkeypatch):
    port = BadPort(board.port, lambda way, number: False)
    device = board.device(port=port)
    launches = []
    launch = UartRegisters._launch

    def spoilt(self, data):
        launches.append(data)
        port.bad = lambda way, number: way == direction and port.hits == 0
        launch(self, data)

    monkeypatch.setattr(UartRegisters, "_launch", spoilt)
    assert vector_sum(device).counters.as_dict() == COUNTERS
    assert port.hits == 1 and len(launches) == 1


def test_a_line_that_damages_everything(board):
    line = board.line()
    line._port = BadPort(board.port, lambda way, number: way == "to")
    with pytest.raises(DeviceError, match="no answer, 4 times; got BAD_FRAME"):
        line.ask(Op.READ_MEMORY, MEMORY_BASE, 16)
    line._port = BadPort(board.port, lambda way, number: way == "from")
    with pytest.raises(DeviceError, match="no answer, 4 times; got a damaged frame"):
        line.ask(Op.READ_MEMORY, MEMORY_BASE, 16)


def test_garbage_before_a_request(board):
    rng = np.random.default_rng(2)
    for count in (1, 3, 40, 1500):
        board.send(rng.integers(0, 256, count, np.uint8).tobytes())
        board.run(count * 400 + 1000)
        assert board.line().info.memory_base == MEMORY_BASE


def test_half_a_request_before_a_whole_one(board):
    """A host that died in the middle of a write: nothing was written."""
    device = board.device()
    addr = device.alloc(64)
    whole = uartlink.request(7, Op.WRITE_MEMORY, addr, 64, b"\xaa" * 64)
    board.send(whole[:40])
    board.run(40 * 400)
    assert device.read(addr, 64) == bytes(64)
    vector_sum(device)


# ---- one frame at a time -----------------------------------------------------------------------


def test_a_damaged_frame_is_answered(board):
    whole = uartlink.request(9, Op.READ_MEMORY, MEMORY_BASE, 4)
    board.send(whole[:5] + bytes([whole[5] ^ 1]) + whole[6:])
    assert answers(board) == [Answer(0, Status.BAD_FRAME, b"")]
    assert board.leds & 0b100
    board.send(whole)
    assert [answer.tag for answer in answers(board)] == [9]
    assert not board.leds & 0b100


@pytest.mark.parametrize("payload", [b"", b"\x01", bytes(7)])
def test_a_frame_shorter_than_a_request(board, payload):
    board.send(uartlink.frame(payload))
    assert answers(board) == [Answer(0, Status.BAD_FRAME, b"")]


def test_flags_alone_are_nothing(board):
    board.send(bytes([uartlink.FLAG] * 20))
    assert answers(board) == []


def test_a_broken_symbol(board):
    whole = uartlink.request(3, Op.INFO, 0, uartlink.INFO.size)
    board.send(whole[:4])
    board.send_broken(whole[4])
    board.send(whole[5:])
    assert answers(board) == [Answer(0, Status.BAD_FRAME, b"")]


def test_a_frame_that_is_aborted(board):
    """RFC 1662: an escape before the flag."""
    whole = uartlink.request(3, Op.INFO, 0, uartlink.INFO.size)
    board.send(whole[:-1] + bytes([uartlink.ESCAPE, uartlink.FLAG]))
    assert answers(board) == [Answer(0, Status.BAD_FRAME, b"")]


def test_a_frame_that_is_too_long(board):
    body = uartlink.REQUEST.pack(1, Op.WRITE_MEMORY, uartlink.MAX_DATA, MEMORY_BASE)
    board.send(uartlink.frame(body + bytes(uartlink.MAX_DATA + 1)))
    assert answers(board, 450_000) == [Answer(0, Status.TOO_LONG, b"")]
    board.send(uartlink.frame(body + bytes(uartlink.MAX_DATA)))
    assert answers(board, 450_000) == [Answer(1, Status.OK, b"")]


def test_a_request_before_the_answer(board):
    """The first is answered, the second is lost and said to be."""
    board.send(uartlink.request(1, Op.READ_MEMORY, MEMORY_BASE, 200))
    board.send(uartlink.request(2, Op.READ_MEMORY, MEMORY_BASE, 4))
    first, second = answers(board, 120_000)
    assert (first.tag, first.status, len(first.data)) == (1, Status.OK, 200)
    assert second == Answer(0, Status.OVERRUN, b"")


LAST = MEMORY_BASE + MEMORY_BYTES


@pytest.mark.parametrize(
    ("op", "address", "length", "data", "status"),
    [
        (5, MEMORY_BASE, 4, b"", Status.BAD_OP),
        (255, MEMORY_BASE, 4, b"", Status.BAD_OP),
        (Op.INFO, 0, 8, b"", Status.BAD_LENGTH),
        (Op.READ_MEMORY, MEMORY_BASE, 0, b"", Status.BAD_LENGTH),
        (Op.READ_MEMORY, MEMORY_BASE, 1025, b"", Status.BAD_LENGTH),
        (Op.READ_MEMORY, MEMORY_BASE, 0xFFFF, b"", Status.BAD_LENGTH),
        (Op.READ_MEMORY, MEMORY_BASE, 4, b"1234", Status.BAD_LENGTH),
        (Op.WRITE_MEMORY, MEMORY_BASE, 4, b"123", Status.BAD_LENGTH),
        (Op.WRITE_MEMORY, MEMORY_BASE, 4, b"12345", Status.BAD_LENGTH),
        (Op.READ_REGISTER, 0, 8, b"", Status.BAD_LENGTH),
        (Op.WRITE_REGISTER, STATUS, 2, b"12", Status.BAD_LENGTH),
        (Op.READ_REGISTER, 0x1000, 4, b"", Status.BAD_ADDRESS),
        (Op.READ_REGISTER, 0x8000_0000, 4, b"", Status.BAD_ADDRESS),
        (Op.READ_REGISTER, 2, 4, b"", Status.BAD_ADDRESS),
        (Op.READ_MEMORY, 0, 4, b"", Status.BAD_ADDRESS),
        (Op.READ_MEMORY, MEMORY_BASE - 1, 4, b"", Status.BAD_ADDRESS),
        (Op.READ_MEMORY, LAST - 3, 4, b"", Status.BAD_ADDRESS),
        (Op.WRITE_MEMORY, 0xFFFF_FFFF, 1, b"1", Status.BAD_ADDRESS),
        (Op.READ_MEMORY, LAST - 4, 4, b"", Status.OK),
        (Op.READ_REGISTER, 0xFFC, 4, b"", Status.OK),
    ],
)
def test_what_is_refused(board, op, address, length, data, status):
    board.send(uartlink.request(0x42, op, address, length, data))
    (answer,) = answers(board)
    assert (answer.tag, answer.status) == (0x42, status)
    assert answer.data == (bytes(4) if status is Status.OK else b"")


# ---- reset --------------------------------------------------------------------------------------


def test_reset_in_the_middle_of_an_answer(board):
    """The host gets half a frame, asks again, and the memory is as it was."""
    device = board.device()
    addr = device.alloc(600)
    device.write(addr, bytes(range(200)) * 3)
    asked = uartlink.request(1, Op.READ_MEMORY, addr, 600)
    board.send(asked)
    board.run(len(asked) * 400 + 100_000)
    board.press_reset()
    half = board.receive(1 << 16)
    assert 200 < len(half) < 300 and Deframer().feed(half) == []
    assert device.read(addr, 600) == bytes(range(200)) * 3
    vector_sum(device)


def test_reset_in_the_middle_of_a_request(board):
    device = board.device()
    asked = uartlink.request(1, Op.WRITE_MEMORY, device.alloc(64), 64, bytes(64))
    board.send(asked)
    board.run(len(asked) * 200)
    board.press_reset()
    board.run(len(asked) * 200 + 1000)
    vector_sum(device)


def test_the_leds(board):
    device = board.device()
    assert not board.leds & 0b1000
    vector_sum(device)
    assert board.leds & 0b1000, "a run has ended"
    device._put("STATUS", memmap.STATUS_DONE)
    assert not board.leds & 0b1000


# ---- the machine that the board gets ------------------------------------------------------------


def test_another_machine_than_is_expected(board):
    line = board.line()
    from vta.runtime.drivers.uart import device_on

    with pytest.raises(
        DeviceError, match="the machine is 1x4_i8w8a32_8_8_10_10, the configuration"
    ):
        device_on(line, VTAConfig.preset("ulx3s_85f"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ulx3s_85f", "ulx3s_25f"])
def test_the_boards_own_machine(name):
    """The vector sum of the tutorial, and a matrix product that uses all of a block."""
    own_machine(name)


# ---- the project --------------------------------------------------------------------------------


def test_every_port_has_its_pin():
    """The pins of the board's schematic for what the shell uses."""
    made = shared_design("ulx3s_85f", TINY)
    for port, pin in (
        ("clk25_0__io", "G2"), ("uart_0__rx__io", "M1"), ("uart_0__tx__io", "L4"),
        ("button_fire_0__io", "R1"), ("led_0__io", "B2"), ("led_3__io", "D2"),
        ("esp32_0__gpio0__io", "L2"),
    ):  # fmt: skip
        assert f'LOCATE COMP "{port}" SITE "{pin}";' in made.files["vta_top.lpf"]
    assert 'FREQUENCY PORT "clk25_0__io" 25000000.0 HZ;' in made.files["vta_top.lpf"]


@pytest.mark.parametrize(
    ("clock_hz", "message"),
    [
        (12_500_000, "a clock of 12500000 Hz does not give 1000000 baud"),
        (48_000_000, "the PLL does not make 48 MHz of 25 MHz exactly"),
    ],
)
def test_clocks_that_do_not_do(clock_hz, message):
    with pytest.raises(ConfigError, match=message):
        design_of(find_board("ulx3s_85f"), TINY, clock_hz)
