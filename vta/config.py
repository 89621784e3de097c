"""The configuration of one machine: the single home of every size that follows from it.

A configuration is a frozen, hashable value. It is read from a ``vta_config.json`` with the keys of
the original VTA (log2 of bytes for buffers, log2 of bits for widths), from keywords, or from a
named preset, and it refuses, when it is made, everything that the instruction encoding cannot hold.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vta import html_tables
from vta.config_file import read_values, shown, unknown_key
from vta.errors import ConfigError
from vta.targets import wrong_target

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEYS", "MICROARCHITECTURE", "PRESETS", "VTAConfig"]

INSN_BYTES = 16
UOP_BYTES = 4
ITER_BITS = 14
"""Width of the loop extents of GEMM and ALU instructions."""
BURST_BEATS = 64
"""Largest number of beats of a burst on the memory port: 4 KiB on the widest bus (512 bits). Longer
bursts would delay the small reads of micro-ops and instructions behind those of weights."""
AXI3_BURST_BEATS = 16
"""The same where the memory is behind an AXI3 port."""
INSN_QUEUE_DEPTH = 512
"""Instructions that each module's queue holds, in the hardware and in the model."""
MAX_ELEM_BYTES = 4096

KEYS: dict[str, tuple[int, int, int, str]] = {
    "LOG_INP_WIDTH": (2, 4, 3, "log2 of the bits of an input (and output) element"),
    "LOG_WGT_WIDTH": (2, 4, 3, "log2 of the bits of a weight"),
    "LOG_ACC_WIDTH": (5, 5, 5, "log2 of the bits of an accumulator"),
    "LOG_BATCH": (0, 2, 0, "log2 of the rows of a GEMM product"),
    "LOG_BLOCK": (1, 6, 4, "log2 of the inner and outer extent of a GEMM product"),
    "LOG_UOP_BUFF_SIZE": (3, 15, 15, "log2 of the bytes of the micro-op SRAM"),
    "LOG_INP_BUFF_SIZE": (1, 24, 15, "log2 of the bytes of the input SRAM"),
    "LOG_WGT_BUFF_SIZE": (1, 28, 18, "log2 of the bytes of the weight SRAM"),
    "LOG_ACC_BUFF_SIZE": (1, 26, 17, "log2 of the bytes of the accumulator SRAM"),
    "LOG_BUS_WIDTH": (6, 9, 6, "log2 of the data bits of the AXI memory port"),
    "ADDR_BITS": (32, 64, 32, "bits of a physical byte address"),
    "EXTENSION": (0, 1, 1, "1: the instruction set extension; 0: the base set only"),
    "ISSUE_DEPTH": (1, 8, 8, "instructions in flight in the compute module; 1: no overlap"),
    "UNIT_QUEUE_DEPTH": (1, 8, 4, "issued instructions that wait for GEMM, and for the ALU"),
    "LOG_ACC_BANKS": (0, 2, 2, "log2 of the banks of the accumulator SRAM"),
    "LOG_ALU_BEATS": (0, 2, 0, "log2 of the cycles of the ALU for a tile"),
    "ALU_MULTIPLIER": (0, 1, 1, "1: products of the ALU in a cycle; 0: in several, without DSP"),
    "FETCH_BEATS": (16, 64, 64, "bus beats of instructions that are read ahead"),
    "LOAD_ENGINES": (1, 2, 2, "1: the load and compute modules share a load engine"),
    "LOAD_ROWS": (2, 32, 32, "rows in flight of each load engine"),
    "READ_BURSTS": (2, 32, 32, "outstanding bursts of each reader of the memory port"),
    "READ_QUEUE_DEPTH": (2, 32, 32, "bus beats that wait for each reader of the memory port"),
    "ERROR_DETAIL": (0, 1, 1, "1: errors are reported with address; 0: code and module only"),
}
"""The keys of a vta_config.json that are numbers: (lowest, highest, default, meaning)."""
MICROARCHITECTURE = (
    "ISSUE_DEPTH", "UNIT_QUEUE_DEPTH", "LOG_ACC_BANKS", "LOG_ALU_BEATS", "ALU_MULTIPLIER",
    "FETCH_BEATS", "LOAD_ENGINES", "LOAD_ROWS", "READ_BURSTS", "READ_QUEUE_DEPTH", "ERROR_DETAIL",
)  # fmt: skip
"""The keys that trade cycles, or the details of errors, for area: the results of a program do not
depend on them."""
_TEXT_KEYS = ("TARGET", "HW_VER")
_NO_PROGRAM_KEYS = (*_TEXT_KEYS, "LOG_BUS_WIDTH", "ADDR_BITS", "EXTENSION", *MICROARCHITECTURE)
"""What a program does not depend on, EXTENSION unless its instructions use the extension."""
_BUFFERS = ("uop", "inp", "wgt", "acc")


@dataclass(frozen=True)
class VTAConfig:
    """A machine's parameters; every other size is a property derived from them.

    Field names are the JSON keys in lower case. Sizes named ``*_bits`` are bits, ``*_bytes``
    bytes, ``*_depth`` elements (tensor tiles), ``log_*`` are log2.

    Raises
    ------
    ConfigError
        If a value is outside its range or the derived field widths do not fit an instruction or a
        micro-op. The message names the key, its value and what is allowed.
    """

    target: str = "sim"
    hw_ver: str = "0.1.0"
    log_inp_width: int = 3
    log_wgt_width: int = 3
    log_acc_width: int = 5
    log_batch: int = 0
    log_block: int = 4
    log_uop_buff_size: int = 15
    log_inp_buff_size: int = 15
    log_wgt_buff_size: int = 18
    log_acc_buff_size: int = 17
    log_bus_width: int = 6
    addr_bits: int = 32
    extension: int = 1
    issue_depth: int = 8
    unit_queue_depth: int = 4
    log_acc_banks: int = 2
    log_alu_beats: int = 0
    alu_multiplier: int = 1
    fetch_beats: int = 64
    load_engines: int = 2
    load_rows: int = 32
    read_bursts: int = 32
    read_queue_depth: int = 32
    error_detail: int = 1

    # ---- construction -----------------------------------------------------------------------

    def __post_init__(self) -> None:
        if wrong := wrong_target("TARGET", self.target):
            raise ConfigError(wrong)
        version = self.hw_ver
        if not isinstance(version, str) or not version.isprintable() or not 1 <= len(version) <= 64:
            raise ConfigError(
                f"HW_VER is {shown(version)}; must be a string of 1 to 64 printable characters"
            )
        for key, (low, high, _, meaning) in KEYS.items():
            value = getattr(self, key.lower())
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"{key} is {shown(value)}; must be an integer ({meaning})")
            if not low <= value <= high:
                raise ConfigError(f"{key} is {shown(value)}; must be in {low}..{high} ({meaning})")
        self._check_elements()
        self._check_encoding()

    def _check_elements(self) -> None:
        shape = f"LOG_BATCH is {self.log_batch}, LOG_BLOCK {self.log_block}"
        for name in ("inp", "wgt", "acc"):
            width = f"LOG_{name.upper()}_WIDTH {getattr(self, f'log_{name}_width')}"
            bits = getattr(self, f"{name}_elem_bits")
            if not 8 <= bits <= 8 * MAX_ELEM_BYTES:
                raise ConfigError(
                    f"{shape}, {width}: an element of the {name} SRAM would be {bits} bits; "
                    f"must be 8 to {8 * MAX_ELEM_BYTES} (one byte to one page)"
                )
        log_lanes = self.log_batch + self.log_block
        if self.log_alu_beats > log_lanes:
            raise ConfigError(
                f"{shape}, LOG_ALU_BEATS {self.log_alu_beats}: the ALU would execute the "
                f"{1 << log_lanes} lanes of a tile in {self.alu_beats} cycles; must be at most one "
                f"cycle a lane (LOG_ALU_BEATS 0 to {log_lanes})"
            )
        for name in _BUFFERS:
            size = getattr(self, f"log_{name}_buff_size")
            log_depth = getattr(self, f"log_{name}_depth")
            low = size - log_depth + 1
            if not 1 <= log_depth <= 16:
                raise ConfigError(
                    f"LOG_{name.upper()}_BUFF_SIZE is {size}: the {name} SRAM would hold "
                    f"2^{log_depth} elements; must be in {low}..{low + 15} (2^1 to 2^16 elements "
                    f"of {getattr(self, f'{name}_elem_bytes')} bytes)"
                )

    def _check_encoding(self) -> None:
        """The fields of an instruction and a micro-op must fit (the bit layouts are in vta.isa)."""
        uop, inp, wgt, acc = (getattr(self, f"log_{name}_depth") for name in _BUFFERS)

        def refuse(key: str, what: str) -> None:
            raise ConfigError(
                f"{key} is {getattr(self, key.lower())}: {what} "
                f"(log2 depths are uop {uop}, inp {inp}, wgt {wgt}, acc {acc})"
            )

        if uop > 13:
            largest = self.log_uop_buff_size - uop + 13
            refuse("LOG_UOP_BUFF_SIZE", f"GEMM and ALU address 2^13 micro-ops; at most {largest}")
        if acc > 11:
            largest = self.log_acc_buff_size - acc + 11
            refuse("LOG_ACC_BUFF_SIZE", f"ALU fields hold 2^11 accumulators; at most {largest}")
        keys = ("LOG_ACC_BUFF_SIZE", "LOG_INP_BUFF_SIZE", "LOG_WGT_BUFF_SIZE")
        for word, total in (
            ("the factors of a GEMM need log2 acc + inp + wgt depths", acc + inp + wgt),
            ("a micro-op needs log2 acc + max(acc, inp) + wgt depths", acc + max(acc, inp) + wgt),
        ):
            if total > 32:
                raise ConfigError(
                    ", ".join(f"{key} is {getattr(self, key.lower())}" for key in keys)
                    + f": {word} of at most 32 in sum, got {total} (acc {acc}, inp {inp}, "
                    f"wgt {wgt}); make them smaller by {total - 32} in all"
                )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "configuration") -> VTAConfig:
        """Make a configuration from a mapping with the keys of vta_config.json; missing keys take
        their default.

        Raises
        ------
        ConfigError
            For an unknown key, a value of the wrong type or outside its range.
        """
        known = (*_TEXT_KEYS, *KEYS)
        for key in values:
            if key not in known:
                raise ConfigError(f"{where}: {unknown_key(key, known)}")
        try:
            return cls(**{key.lower(): value for key, value in values.items()})
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None

    @classmethod
    def from_file(cls, path: str | Path) -> VTAConfig:
        """Read a vta_config.json.

        Raises
        ------
        ConfigError
            If the file cannot be read, is not a JSON object, or holds values that cannot be.
        """
        return cls.from_dict(read_values(Path(path)), where=str(path))

    @classmethod
    def preset(cls, name: str) -> VTAConfig:
        """One of the configurations that come with the package (:data:`PRESETS`)."""
        if name not in PRESETS:
            raise ConfigError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        text = (
            resources.files("vta").joinpath("presets", f"{name}.json").read_text(encoding="utf-8")
        )
        return cls.from_dict(json.loads(text), where=f"preset {name}")

    def replace(self, **changes: Any) -> VTAConfig:
        """A copy with some fields (lower-case names) changed, checked anew."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The keys and values of a vta_config.json that gives this configuration."""
        return {key: getattr(self, key.lower()) for key in (*_TEXT_KEYS, *KEYS)}

    # ---- widths and shapes ------------------------------------------------------------------

    @property
    def inp_width(self) -> int:
        """Bits of one input value."""
        return 1 << self.log_inp_width

    @property
    def wgt_width(self) -> int:
        """Bits of one weight."""
        return 1 << self.log_wgt_width

    @property
    def acc_width(self) -> int:
        """Bits of one accumulator."""
        return 1 << self.log_acc_width

    @property
    def log_out_width(self) -> int:
        return self.log_inp_width

    @property
    def out_width(self) -> int:
        """Bits of one output value: outputs are the next layer's inputs."""
        return self.inp_width

    @property
    def batch(self) -> int:
        return 1 << self.log_batch

    @property
    def block_in(self) -> int:
        return 1 << self.log_block

    @property
    def block_out(self) -> int:
        return 1 << self.log_block

    @property
    def inp_dtype(self) -> str:
        return f"int{self.inp_width}"

    @property
    def wgt_dtype(self) -> str:
        return f"int{self.wgt_width}"

    @property
    def acc_dtype(self) -> str:
        return f"int{self.acc_width}"

    @property
    def out_dtype(self) -> str:
        return f"int{self.out_width}"

    # ---- elements: one element is one tile, the unit in which SRAM and DRAM are addressed ---

    @property
    def inp_elem_bits(self) -> int:
        """An input tile, [BATCH][BLOCK_IN]."""
        return self.batch * self.block_in * self.inp_width

    @property
    def wgt_elem_bits(self) -> int:
        """A weight tile, [BLOCK_OUT][BLOCK_IN]."""
        return self.block_out * self.block_in * self.wgt_width

    @property
    def acc_elem_bits(self) -> int:
        """An accumulator tile, [BATCH][BLOCK_OUT]."""
        return self.batch * self.block_out * self.acc_width

    @property
    def out_elem_bits(self) -> int:
        """An output tile, [BATCH][BLOCK_OUT]."""
        return self.batch * self.block_out * self.out_width

    @property
    def uop_elem_bits(self) -> int:
        return UOP_BYTES * 8

    @property
    def acc8_elem_bits(self) -> int:
        """What an ACC_8BIT load reads from DRAM for one accumulator tile: its lanes as int8."""
        return self.batch * self.block_out * 8

    @property
    def inp_elem_bytes(self) -> int:
        return self.inp_elem_bits // 8

    @property
    def wgt_elem_bytes(self) -> int:
        return self.wgt_elem_bits // 8

    @property
    def acc_elem_bytes(self) -> int:
        return self.acc_elem_bits // 8

    @property
    def out_elem_bytes(self) -> int:
        return self.out_elem_bits // 8

    @property
    def uop_elem_bytes(self) -> int:
        return UOP_BYTES

    @property
    def acc8_elem_bytes(self) -> int:
        return self.acc8_elem_bits // 8

    # ---- micro-architecture ------------------------------------------------------------------

    @property
    def alu_beats(self) -> int:
        """Cycles in which the ALU executes a tile, each for an equal part of its lanes."""
        return 1 << self.log_alu_beats

    @property
    def alu_lanes(self) -> int:
        """Lanes of the ALU: values of an accumulator tile that it computes in a cycle."""
        return self.batch * self.block_out >> self.log_alu_beats

    # ---- depths -----------------------------------------------------------------------------

    @property
    def log_uop_depth(self) -> int:
        return self.log_uop_buff_size - 2

    @property
    def log_inp_depth(self) -> int:
        return self.log_inp_buff_size + 3 - self.log_batch - self.log_block - self.log_inp_width

    @property
    def log_wgt_depth(self) -> int:
        return self.log_wgt_buff_size + 3 - 2 * self.log_block - self.log_wgt_width

    @property
    def log_acc_depth(self) -> int:
        return self.log_acc_buff_size + 3 - self.log_batch - self.log_block - self.log_acc_width

    @property
    def log_out_depth(self) -> int:
        return self.log_acc_depth

    @property
    def log_out_buff_size(self) -> int:
        return self.log_acc_buff_size + self.log_out_width - self.log_acc_width

    @property
    def uop_depth(self) -> int:
        return 1 << self.log_uop_depth

    @property
    def inp_depth(self) -> int:
        return 1 << self.log_inp_depth

    @property
    def wgt_depth(self) -> int:
        return 1 << self.log_wgt_depth

    @property
    def acc_depth(self) -> int:
        return 1 << self.log_acc_depth

    @property
    def out_depth(self) -> int:
        return 1 << self.log_out_depth

    # ---- bus --------------------------------------------------------------------------------

    @property
    def bus_bits(self) -> int:
        """Data bits of the AXI memory port."""
        return 1 << self.log_bus_width

    @property
    def bus_bytes(self) -> int:
        return self.bus_bits // 8

    # ---- identity ---------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """What a program depends on, readable: ``1x16_i8w8a32_15_15_18_17`` is the original's
        bitstream name.

        TARGET, HW_VER, bus width, address width and the keys of :data:`MICROARCHITECTURE` are not
        in it: the same program runs on all of them. EXTENSION is not in it either: a program that
        does not use the extension runs with and without
        (:meth:`vta.program.Program.require_machine`).
        """
        return (
            f"{self.batch}x{self.block_in}_i{self.inp_width}w{self.wgt_width}a{self.acc_width}_"
            f"{self.log_uop_buff_size}_{self.log_inp_buff_size}_{self.log_wgt_buff_size}_{self.log_acc_buff_size}"
        )

    def _repr_html_(self) -> str:
        memories = [
            (f"{name} SRAM", f"{getattr(self, f'{name}_depth'):,} elements of "
             f"{getattr(self, f'{name}_elem_bytes'):,} bytes")
            for name in _BUFFERS
        ]  # fmt: skip
        product = f"{self.batch}x{self.block_in} by {self.block_in}x{self.block_out}"
        rows = [
            ("one product", f"{product}, {self.inp_dtype} by {self.wgt_dtype}"),
            ("multipliers", f"{self.batch * self.block_in * self.block_out:,}"),
            ("sums", self.acc_dtype),
            *memories,
            ("memory port", f"{self.bus_bits} bits of data, {self.addr_bits} of address"),
            ("extension", "yes" if self.extension else "no"),
            ("target", self.target),
        ]
        return html_tables.table(["", self.fingerprint], rows)

    def differences(self, other: VTAConfig) -> str:
        """The keys on which programs depend that ``other`` has otherwise, with both values, for
        messages; empty if the fingerprints are equal."""
        ours, theirs = self.to_dict(), other.to_dict()
        return ", ".join(
            f"{key} {ours[key]} and {theirs[key]}"
            for key in ours
            if ours[key] != theirs[key] and key not in _NO_PROGRAM_KEYS
        )

    def derived(self) -> dict[str, int | str]:
        """Every derived size by name, as ``vta config`` prints it."""
        names = [
            name
            for name, member in vars(type(self)).items()
            if isinstance(member, property | cached_property)
        ]
        return {name: getattr(self, name) for name in names}


PRESETS = ("default", "tiny", "tiny_small", "ulx3s_85f")
"""`default` is the original's 1x16x16 machine; `tiny` (1x4x4, small buffers) builds in seconds for
tests; `tiny_small` is that machine in its smallest form, in order and without the extension;
`ulx3s_85f` (1x4x4, buffers in block RAM) is what the board of that name gets."""
