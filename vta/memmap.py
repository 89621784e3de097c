"""The control registers of the accelerator, once: the RTL, the drivers, C headers and Tcl are
printed from this table.

All registers are 32 bits behind an AXI4-Lite port with byte addresses of :data:`ADDR_BITS` bits.
64-bit values take two registers, low half first; reading the low half of a counter latches the
high half.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vta.config import VTAConfig

__all__ = [
    "ADDR_BITS",
    "CONFIG_FIELDS",
    "COUNTERS",
    "IDENTITY",
    "REGISTERS",
    "ErrorCode",
    "ModuleState",
    "Register",
    "Source",
    "c_header",
    "config_fields",
    "config_words",
    "register",
]

ADDR_BITS = 12
"""Byte address bits of the control port: one 4 KiB page."""

IDENTITY = 0x5654_4131
"""ASCII "VTA1", read at ID."""

VERSION = 0x0001_0000
"""Major in the upper, minor in the lower 16 bits: the version of this register map and of the base
instruction set."""

COUNTERS = (
    "inp_load_nbytes",
    "wgt_load_nbytes",
    "acc_load_nbytes",
    "uop_load_nbytes",
    "out_store_nbytes",
    "gemm_counter",
    "alu_counter",
)
"""The seven event counters, in the order of the original profiler's report. Bytes count data, not
padding; an ACC_8BIT load counts whole accumulator tiles; GEMM counts products with reset = 0; the
ALU counts tiles."""


class ErrorCode(enum.IntEnum):
    """Low byte of ERROR: why the run ended early. 0 while there is no error."""

    NONE = 0
    AXI_SLVERR = 1
    """The memory answered SLVERR."""
    AXI_DECERR = 2
    """The memory answered DECERR: nothing is at that address."""
    ADDRESS = 3
    """An address does not fit the address bus."""
    ILLEGAL_INSTRUCTION = 4
    SRAM_RANGE = 5
    """An on-chip memory index is beyond the end."""
    DEADLOCK = 6
    """Every module waits for a token that no instruction will push."""
    MISSING_FINISH = 7
    """The stream is done and no FINISH was in it."""
    AFTER_FINISH = 8
    """A compute instruction follows FINISH."""


class Source(enum.IntEnum):
    """Second byte of ERROR: which module saw it. The first three are also the AXI read IDs."""

    FETCH = 0
    LOAD = 1
    COMPUTE = 2
    STORE = 3
    CORE = 4


class ModuleState(enum.IntEnum):
    """What a module is doing, two bits each in MODULES."""

    IDLE = 0
    """Its queue is empty."""
    WAITING = 1
    """The instruction at the head waits for a token."""
    RUNNING = 2


@dataclass(frozen=True)
class Register:
    """One 32-bit register: byte ``offset``, ``access`` ``ro``, ``rw`` or ``wo``, and what it is
    for."""

    name: str
    offset: int
    access: str
    meaning: str


def _registers() -> Iterator[Register]:
    yield Register("ID", 0x000, "ro", "identity, always IDENTITY")
    yield Register("VERSION", 0x004, "ro", "version of this map and of the base instruction set")
    yield Register(
        "CONFIG0", 0x008, "ro", "widths and shape of the configuration, see CONFIG_FIELDS"
    )
    yield Register("CONFIG1", 0x00C, "ro", "log2 bytes of the four buffers, see CONFIG_FIELDS")
    yield Register(
        "CAPS",
        0x010,
        "ro",
        "parts of the instruction set extension (vta.isa.Capability); 0: the base set only",
    )
    yield Register(
        "CONTROL",
        0x014,
        "wo",
        "bit 0 launch (ignored while busy), bit 1 reset everything but the SRAMs",
    )
    yield Register(
        "STATUS",
        0x018,
        "rw",
        "bit 0 busy, bit 1 done (write 1 to clear), bit 2 the run ended in an error",
    )
    yield Register("ERROR", 0x01C, "ro", "[7:0] ErrorCode, [15:8] Source; cleared by launch")
    yield Register("ERROR_ADDR", 0x020, "ro", "address or SRAM index of the error, low half")
    yield Register("ERROR_ADDR_HI", 0x024, "ro", "high half")
    yield Register("INSN_COUNT", 0x028, "rw", "instructions in the stream")
    yield Register(
        "INSN_ADDR", 0x02C, "rw", "physical byte address of the stream, low half; 16-byte aligned"
    )
    yield Register("INSN_ADDR_HI", 0x030, "rw", "high half")
    yield Register(
        "MODULES",
        0x034,
        "ro",
        "[1:0] load, [3:2] compute, [5:4] store: ModuleState; bit 8 fetch busy; bit 9 the machine "
        "reports errors without details (ERROR_DETAIL 0): ERROR_ADDR and INSNS_* read 0",
    )
    yield Register(
        "CYCLES", 0x040, "ro", "cycles from launch to done of the last or current run, low half"
    )
    yield Register("CYCLES_HI", 0x044, "ro", "high half")
    for index, name in enumerate(COUNTERS):
        yield Register(
            name.upper(), 0x048 + 8 * index, "ro", "event counter since launch, low half"
        )
        yield Register(f"{name.upper()}_HI", 0x04C + 8 * index, "ro", "high half")
    for index, name in enumerate(("L2G", "G2L", "G2S", "S2G")):
        yield Register(
            f"TOKENS_{name}",
            0x090 + 4 * index,
            "ro",
            "tokens in this queue now; launch clears them",
        )
    for index, name in enumerate(("LOAD", "COMPUTE", "STORE")):
        yield Register(
            f"INSNS_{name}",
            0x0A0 + 4 * index,
            "ro",
            "instructions that this module has finished since launch",
        )


REGISTERS: tuple[Register, ...] = tuple(_registers())

CONTROL_LAUNCH = 1 << 0
CONTROL_RESET = 1 << 1
STATUS_BUSY = 1 << 0
STATUS_DONE = 1 << 1
STATUS_ERROR = 1 << 2
MODULES_NO_DETAIL = 1 << 9


def register(name: str) -> Register:
    """The register with this name."""
    for item in REGISTERS:
        if item.name == name:
            return item
    raise KeyError(name)


CONFIG_FIELDS: tuple[tuple[str, int, int, int], ...] = (
    ("LOG_INP_WIDTH", 0, 0, 4),
    ("LOG_WGT_WIDTH", 0, 4, 4),
    ("LOG_ACC_WIDTH", 0, 8, 4),
    ("LOG_BATCH", 0, 12, 4),
    ("LOG_BLOCK", 0, 16, 4),
    ("LOG_BUS_WIDTH", 0, 20, 4),
    ("ADDR_BITS", 0, 24, 8),
    ("LOG_UOP_BUFF_SIZE", 1, 0, 8),
    ("LOG_INP_BUFF_SIZE", 1, 8, 8),
    ("LOG_WGT_BUFF_SIZE", 1, 16, 8),
    ("LOG_ACC_BUFF_SIZE", 1, 24, 8),
)
"""Where CONFIG0 (word 0) and CONFIG1 (word 1) hold the keys of a configuration: key, word, lowest
bit, bits."""


def config_words(cfg: VTAConfig) -> tuple[int, int]:
    """What CONFIG0 and CONFIG1 read in a machine of this configuration."""
    words = [0, 0]
    for key, word, low, _ in CONFIG_FIELDS:
        words[word] |= getattr(cfg, key.lower()) << low
    return words[0], words[1]


def config_fields(word0: int, word1: int) -> dict[str, int]:
    """The keys of a configuration and their values, as CONFIG0 and CONFIG1 tell them."""
    words = (word0, word1)
    return {key: words[n] >> low & ((1 << bits) - 1) for key, n, low, bits in CONFIG_FIELDS}


def c_header() -> str:
    """The table as a C header: register offsets ``VTA_REG_<NAME>``, bits, codes and states."""
    lines = ["// Printed from vta/memmap.py.", "#pragma once", ""]

    def define(name: str, value: int, meaning: str = "") -> None:
        lines.append(f"#define VTA_{name} 0x{value:x}" + (f"  // {meaning}" if meaning else ""))

    define("IDENTITY", IDENTITY)
    define("VERSION", VERSION)
    define("ADDR_BITS", ADDR_BITS)
    for item in REGISTERS:
        define(f"REG_{item.name}", item.offset, f"{item.access}: {item.meaning}")
    define("CONTROL_LAUNCH", CONTROL_LAUNCH)
    define("CONTROL_RESET", CONTROL_RESET)
    define("STATUS_BUSY", STATUS_BUSY)
    define("STATUS_DONE", STATUS_DONE)
    define("STATUS_ERROR", STATUS_ERROR)
    define("MODULES_NO_DETAIL", MODULES_NO_DETAIL)
    for prefix, values in (("ERROR", ErrorCode), ("SOURCE", Source), ("STATE", ModuleState)):
        for value in values:
            define(f"{prefix}_{value.name}", value)
    return "\n".join(lines) + "\n"
