"""Boards on a serial line, simulated through their pins: the Verilog of the whole design under
Verilator, with models of the vendor's cells, and a port like pyserial's at the end of the line."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from tests.support.designs import shared_design
from vta.boards.bitstream import design_of
from vta.boards.board import find_board
from vta.boards.shells.uart_phy import clocks_per_bit
from vta.boards.shells.uart_shell import BAUD
from vta.boards.toolchains.toolchain import TOP, Design
from vta.runtime.drivers.uart import SerialLine, device_on
from vta.sim.rtl.build import builds_folder, make_variables, verilator_command

if TYPE_CHECKING:
    from collections.abc import Callable

    from amaranth.hdl import Elaboratable

    from vta.config import VTAConfig
    from vta.runtime.drivers.machine import MappedDevice

__all__ = ["SimulatedBoard", "SimulatedPort"]

SOURCES = Path(__file__).parent / "csrc"
PATIENCE = 0.002
"""The patience of the tests' lines: the simulated board answers within microseconds."""


@dataclass(frozen=True)
class Pins:
    """The top module's ports, and the models of the cells that it uses."""

    cells: str
    clock: str
    button: str
    button_up: int
    rx: str
    tx: str
    leds: tuple[str, ...]
    led_on: int
    around: str | None = None
    """A file with a model of what is at other pins, whose module `ulx3s_sdram` is the top."""

    def header(self) -> str:
        """pins.h of the harness."""

        def name(port: str) -> str:
            return port.replace("__", "___05F")  # as Verilator writes it

        leds = " | ".join(
            f"(t.{name(port)} == {self.led_on}) << {bit}" for bit, port in enumerate(self.leds)
        )
        names = {"CLOCK": self.clock, "BUTTON": self.button, "RX": self.rx, "TX": self.tx}
        return (
            "".join(f"#define {macro} {name(port)}\n" for macro, port in names.items())
            + f"#define BUTTON_UP {self.button_up}\n#define LEDS(t) ({leds})\n"
        )


_ULX3S = Pins(
    cells="ecp5_cells.v",
    clock="clk25_0__io",
    button="button_fire_0__io",
    button_up=0,
    rx="uart_0__rx__io",
    tx="uart_0__tx__io",
    leds=tuple(f"led_{number}__io" for number in range(4)),
    led_on=1,
)
_TANG_MEGA_138K = Pins(
    cells="gowin_cells.v",
    clock="clk50_0__io",
    button="button_0__io",
    button_up=1,
    rx="uart_0__rx__io",
    tx="uart_0__tx__io",
    leds=tuple(f"led_{number}__io" for number in range(4)),
    led_on=0,
)
_TANG_NANO_20K = replace(_TANG_MEGA_138K, clock="clk27_0__io", button_up=0)
PINS = {
    "ulx3s_85f": _ULX3S, "ulx3s_45f": _ULX3S, "ulx3s_25f": _ULX3S,
    "ulx3s_85f_sdram": replace(_ULX3S, around="sdram.v"),
    "tang_mega_138k": _TANG_MEGA_138K, "tang_nano_20k": _TANG_NANO_20K,
}  # fmt: skip


def _library(made: Design) -> Path:
    """The simulator of a design, from the cache if it was built before."""
    pins = PINS[made.board.name]
    files = {f"{TOP}.v": made.verilog, "pins.h": pins.header()}
    modules = [pins.cells] if pins.around is None else [pins.cells, pins.around]
    for name in (*modules, "uart_board.cpp", "uart_board.h"):
        files[name] = (SOURCES / name).read_text(encoding="utf-8")
    sources = getattr(made.board.toolchain, "sources", ())
    files |= {name: made.files[name] for name in sources}
    top = TOP if pins.around is None else "ulx3s_sdram"
    command, environment = verilator_command()
    flags = [
        "--cc", "--exe", "-o", "libboard.so", "--top-module", top, "--prefix", f"V{TOP}",
        "--Mdir", "obj", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert",
        "-Wno-fatal", "-CFLAGS", "-I.. -std=c++20 -fPIC -DVL_TIME_CONTEXT",
    ]  # fmt: skip
    text = repr((sorted(files.items()), flags, make_variables(), command))
    library = builds_folder() / hashlib.sha256(text.encode()).hexdigest()[:24] / "libboard.so"
    library.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(library.with_suffix(".lock")), tempfile.TemporaryDirectory() as name:
        if library.exists():
            return library
        work = Path(name)
        for file, content in files.items():
            (work / file).write_text(content, encoding="utf-8")
        variables = [f"{key}={value}" for key, value in make_variables().items()]
        for step in (
            [command, *flags, f"{TOP}.v", *sources, *modules, "uart_board.cpp"],
            ["make", "-C", "obj", "-f", f"V{TOP}.mk", f"-j{os.cpu_count() or 1}", *variables],
        ):
            done = subprocess.run(
                step, cwd=work, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        fresh = library.with_suffix(".new")
        shutil.copyfile(work / "obj" / "libboard.so", fresh)
        fresh.replace(library)
    return library


class SimulatedBoard:
    """A board that was just switched on.

    Parameters
    ----------
    name : str
        A board of :data:`PINS`.
    cfg : VTAConfig or None
        Another machine than the board's own.
    baud : int
        Of the line.
    shell : callable or None
        Another shell than the board's own, as :class:`~vta.boards.board.Board` has it.

    Attributes
    ----------
    port : SimulatedPort
        The host's end of the line.
    """

    def __init__(
        self, name: str, cfg: VTAConfig | None = None, *, baud: int = BAUD,
        shell: Callable[[VTAConfig, int], Elaboratable] | None = None,
    ) -> None:  # fmt: skip
        if shell is None:
            made = shared_design(name, cfg)
        else:
            made = design_of(replace(find_board(name), shell=shell), cfg)
        self.cfg, self.clock_hz = made.cfg, made.clock_hz
        lib = ctypes.CDLL(str(_library(made)))
        lib.uart_board_new.restype = ctypes.c_void_p
        lib.uart_board_run.restype = ctypes.c_uint64
        lib.uart_board_run.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_size_t]
        for name, more in (
            ("send", [ctypes.c_char_p, ctypes.c_size_t]), ("send_broken", [ctypes.c_uint8]),
            ("receive", [ctypes.c_char_p, ctypes.c_size_t]), ("waiting", []), ("delete", []),
            ("press", [ctypes.c_int]), ("leds", []), ("damaged", []),
        ):  # fmt: skip
            function = getattr(lib, f"uart_board_{name}")
            function.argtypes = [ctypes.c_void_p, *more]
            function.restype = None if name == "delete" else ctypes.c_uint64
        self._lib = lib
        self._board = lib.uart_board_new(clocks_per_bit(self.clock_hz, baud))
        self.baud = baud
        self.cycles = 0
        self.port = SimulatedPort(self)

    def __del__(self) -> None:
        if hasattr(self, "_board"):
            self._lib.uart_board_delete(self._board)

    def run(self, cycles: int, wanted: int = 1 << 30) -> int:
        """Let time pass: so many cycles, or until ``wanted`` bytes have come."""
        ran = self._lib.uart_board_run(self._board, cycles, wanted)
        self.cycles += ran
        return ran

    def seconds(self) -> float:
        """The simulation's time."""
        return self.cycles / self.clock_hz

    def pause(self, seconds: float) -> None:
        """Let so much of it pass."""
        self.run(int(seconds * self.clock_hz) + 1)

    def press_reset(self) -> None:
        """Press the button for some cycles."""
        self._lib.uart_board_press(self._board, 1)
        self.run(20)
        self._lib.uart_board_press(self._board, 0)
        self.run(20)

    @property
    def leds(self) -> int:
        return self._lib.uart_board_leds(self._board)

    def send(self, data: bytes) -> None:
        """Bytes onto the line."""
        self._lib.uart_board_send(self._board, data, len(data))

    def send_broken(self, byte: int) -> None:
        """A byte with a low stop bit."""
        self._lib.uart_board_send_broken(self._board, byte)

    def waiting(self) -> int:
        return self._lib.uart_board_waiting(self._board)

    def receive(self, most: int) -> bytes:
        """What has come."""
        buffer = ctypes.create_string_buffer(most)
        count = self._lib.uart_board_receive(self._board, buffer, most)
        return buffer.raw[:count]

    def line(self, **options) -> SerialLine:
        """The host's side of the protocol, on the simulation's time."""
        options = {"patience": PATIENCE, "baud": self.baud, **options}
        return SerialLine(options.pop("port", self.port), clock=self.seconds, **options)

    def device(self, **options) -> MappedDevice:
        """The driver."""
        return device_on(self.line(**options), self.cfg, clock=self.seconds, pause=self.pause)


class SimulatedPort:
    """The host's end of the line, with what the driver uses of pyserial's ``Serial``."""

    def __init__(self, board: SimulatedBoard) -> None:
        self.board = board
        self.timeout: float | None = None
        self.closed = False

    @property
    def in_waiting(self) -> int:
        return self.board.waiting()

    def read(self, size: int = 1) -> bytes:
        assert self.timeout is not None
        self.board.run(int(self.timeout * self.board.clock_hz) + 1, size)
        return self.board.receive(size)

    def write(self, data: bytes) -> int:
        self.board.send(bytes(data))
        return len(data)

    def reset_input_buffer(self) -> None:
        self.board.receive(self.in_waiting)

    def close(self) -> None:
        self.closed = True
