"""Boards at the end of a serial line: control registers and memory through the bridge of
:mod:`vta.uartlink`.

The line may lose, change and repeat bytes; every exchange has a time-out. A request that got no
answer is made again, up to :data:`ATTEMPTS` times in all, because carrying it out twice does no
harm: neither reads nor writes do. A launch does, so that STATUS is asked first whether there was
one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from vta import memmap, uartlink
from vta.errors import DeviceError
from vta.extras import missing_package
from vta.runtime.drivers.machine import MappedDevice
from vta.uartlink import Answer, Deframer, Info, Op, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.config import VTAConfig
    from vta.run_result import RunResult

__all__ = [
    "BAUD",
    "UART_TARGETS",
    "SerialLine",
    "SerialPort",
    "UartMemory",
    "UartRegisters",
    "device_on",
    "open_uart",
]

UART_TARGETS = ("ulx3s", "tangmega138k", "tangnano20k")
"""The targets that are opened with :func:`open_uart`."""

BAUD = 1_000_000
"""What the boards' bridges speak, unless built for another rate."""

ATTEMPTS = 4
PATIENCE = 0.5
"""Seconds that an answer may take beyond the time of its bytes: the board takes microseconds, a USB
bridge may hold a byte back for 16 ms, a busy host for longer."""

_BITS_PER_BYTE = 10
_WORD_BYTES = 4
_CONTROL, _STATUS = (memmap.register(name).offset for name in ("CONTROL", "STATUS"))


class SerialPort(Protocol):
    """What is needed of an open port; pyserial's ``Serial`` is one.

    Attributes
    ----------
    timeout : float or None
        Bounds :meth:`read`, in seconds.
    in_waiting : int
        Bytes that :meth:`read` would give at once.
    """

    timeout: float | None

    @property
    def in_waiting(self) -> int: ...

    def read(self, size: int = 1, /) -> bytes:
        """Up to ``size`` bytes: fewer, or none, if they do not come in time."""
        ...

    def write(self, data: bytes, /) -> int | None: ...
    def reset_input_buffer(self) -> None: ...
    def close(self) -> None: ...


class _NoAnswerError(DeviceError):
    """Nobody knows whether the request was carried out."""


class SerialLine:
    """Requests and answers over a port.

    Parameters
    ----------
    port : SerialPort
        Open; closed with this object.
    name : str
        What errors call it.
    baud : int
        Symbols a second, for time-outs.
    patience : float
        Seconds that an answer may take beyond the time of its bytes.
    clock : callable
        Seconds now: for tests, where time is the simulation's.

    Attributes
    ----------
    info : Info
        What the board says of itself.

    Raises
    ------
    DeviceError
        If no board answers, or one that speaks another version of the protocol.
    """

    def __init__(
        self,
        port: SerialPort,
        name: str = "the serial port",
        *,
        baud: int = BAUD,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port, self._baud, self._patience, self._clock = port, baud, patience, clock
        self.name = name
        self._tag = 0
        self._closed = False
        try:
            data = self.ask(Op.INFO, 0, uartlink.INFO.size)
        except _NoAnswerError as error:
            raise DeviceError(
                f"no accelerator answers on {name} at {baud} baud ({error}): is it the board's "
                f"port, and does the FPGA hold the bitstream of `make bitstream`?"
            ) from None
        self.info = Info.unpack(data)

    def ask(
        self, op: Op, address: int, length: int, data: bytes = b"", *, attempts: int = ATTEMPTS
    ) -> bytes:
        """Make a request of :mod:`vta.uartlink`; returns the data of its answer.

        Raises
        ------
        DeviceError
            If the board refuses, what it answers is no answer, or none comes in ``attempts``
            attempts.
        """
        what = f"{op.name} at 0x{address:x}, {length} bytes, on {self.name}"
        if self._closed:
            raise DeviceError(f"{what}: it is closed")
        try:
            for _ in range(attempts):
                self._tag = self._tag % 255 + 1  # 0 is the tag of what was no request
                answer, seen = self._exchange(op, address, length, data)
                if answer is not None:
                    break
            else:
                raise _NoAnswerError(f"{what}: no answer, {attempts} times; got {seen}")
        except OSError as error:  # as pyserial's errors are
            raise DeviceError(f"{what}: {error}") from None
        if answer.status != Status.OK:
            raise DeviceError(f"{what}: the board answers {_name(answer.status)}")
        wanted = 0 if data else length
        if len(answer.data) != wanted:
            raise DeviceError(f"{what}: {len(answer.data)} bytes of data came, not {wanted}")
        return answer.data

    def _exchange(
        self, op: Op, address: int, length: int, data: bytes
    ) -> tuple[Answer | None, str]:
        """One request; the answer with its tag, None if there is none in time, and what came
        instead. An answer with tag 0 ends nothing: it may be to what was on the line before."""
        port, deframer = self._port, Deframer()
        port.reset_input_buffer()
        sent = uartlink.request(self._tag, op, address, length, data)
        port.write(sent)
        longest = len(sent) + 2 * (length + uartlink.ANSWER.size + uartlink.CRC_BYTES) + 2
        end = self._clock() + self._patience + longest * _BITS_PER_BYTE / self._baud
        others, nbytes = [], 0
        while (left := end - self._clock()) > 0:
            port.timeout = left
            received = port.read(max(1, port.in_waiting))
            nbytes += len(received)
            for payload in deframer.feed(received):
                answer = Answer.unpack(payload)
                if answer is not None and answer.tag == self._tag:
                    return answer, ""
                others.append("a strange frame" if answer is None else _name(answer.status))
        others += ["a damaged frame"] * deframer.discarded
        return None, ", ".join(others) or (f"{nbytes} bytes of no frame" if nbytes else "nothing")

    def close(self) -> None:
        """Close the port."""
        if not self._closed:
            self._closed = True
            self._port.close()


def _name(status: int) -> str:
    return Status(status).name if status in set(Status) else f"the unknown status {status}"


class UartRegisters:
    """The control registers behind a line, as :class:`~.ports.Registers`."""

    def __init__(self, line: SerialLine) -> None:
        self._line = line

    def read(self, offset: int) -> int:
        return int.from_bytes(self._line.ask(Op.READ_REGISTER, offset, _WORD_BYTES), "little")

    def write(self, offset: int, value: int) -> None:
        """A launch must find DONE cleared: that tells whether one whose answer was lost has
        happened."""
        data = value.to_bytes(_WORD_BYTES, "little")
        if offset == _CONTROL and value & memmap.CONTROL_LAUNCH:
            self._launch(data)
        else:
            self._line.ask(Op.WRITE_REGISTER, offset, _WORD_BYTES, data)

    def _launch(self, data: bytes) -> None:
        for attempt in range(ATTEMPTS):
            try:
                self._line.ask(Op.WRITE_REGISTER, _CONTROL, _WORD_BYTES, data, attempts=1)
                return
            except _NoAnswerError:
                if self.read(_STATUS) & (memmap.STATUS_BUSY | memmap.STATUS_DONE):
                    return
                if attempt == ATTEMPTS - 1:
                    raise

    def close(self) -> None:
        self._line.close()


class UartMemory:
    """The board's memory behind a line, as :class:`~.ports.DeviceMemory`: what was written has
    arrived when :meth:`write` returns."""

    coherent = True

    def __init__(self, line: SerialLine) -> None:
        self._line = line
        self.base, self.nbytes = line.info.memory_base, line.info.memory_bytes

    def read(self, addr: int, nbytes: int) -> bytes:
        most = self._line.info.max_data
        return b"".join(
            self._line.ask(Op.READ_MEMORY, addr + at, min(most, nbytes - at))
            for at in range(0, nbytes, most)
        )

    def write(self, addr: int, data: bytes) -> None:
        most = self._line.info.max_data
        for at in range(0, len(data), most):
            piece = data[at : at + most]
            self._line.ask(Op.WRITE_MEMORY, addr + at, len(piece), piece)

    def flush(self, addr: int, nbytes: int) -> None:
        pass

    def invalidate(self, addr: int, nbytes: int) -> None:
        pass

    def close(self) -> None:
        self._line.close()


def open_uart(
    cfg: VTAConfig,
    port: str,
    *,
    baud: int = BAUD,
    timeout: float | None = None,
    on_run: Callable[[RunResult], None] | None = None,
) -> MappedDevice:
    """The board on a serial port of this host.

    Parameters
    ----------
    cfg : VTAConfig
        The machine that is expected in the board.
    port : str
        ``/dev/ttyUSB0``, ``COM3``, or a URL that pyserial knows.
    baud : int
        Symbols a second, as the bitstream was built.
    timeout, on_run
        As for :class:`~.machine.MappedDevice`.

    Raises
    ------
    DeviceError
        If pyserial is missing, the port cannot be opened, no board answers, or its machine is
        another one.
    """
    line = SerialLine(_open_port(port, baud), port, baud=baud)
    try:
        return device_on(line, cfg, timeout=timeout, on_run=on_run)
    except BaseException:
        line.close()
        raise


def device_on(line: SerialLine, cfg: VTAConfig, **options: Any) -> MappedDevice:
    """The driver of the board at the end of a line; options of :class:`~.machine.MappedDevice`."""
    return MappedDevice(
        cfg, UartRegisters(line), UartMemory(line), clock_hz=line.info.clock_hz, **options
    )


def _open_port(port: str, baud: int) -> SerialPort:
    try:
        import serial
        from serial.tools import list_ports
    except ImportError:
        raise DeviceError(missing_package("a board on a serial port", "pyserial", "uart")) from None
    try:
        opened: SerialPort = serial.serial_for_url(port, baudrate=baud, exclusive=True)
        return opened
    except (OSError, ValueError) as error:
        found = ", ".join(sorted(item.device for item in list_ports.comports())) or "none"
        raise DeviceError(f"{port} cannot be opened: {error}; ports here: {found}") from None
