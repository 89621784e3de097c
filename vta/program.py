"""The compiled artefact: an instruction stream with its micro-ops, its tensors, and the machine
that it was made for.

A program is data. In the stream every transfer's ``dram_base`` is an element offset inside one
buffer, and a relocation says which: an argument of the program or its micro-ops. Where those
buffers lie is known only when it runs (:meth:`Program.relocate`). The file format is described in
docs/tools/program-format.md.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vta import dtypes
from vta.call_site import calls_of, remember_calls
from vta.config import INSN_BYTES, UOP_BYTES, VTAConfig
from vta.container import FileKind, shown
from vta.errors import ConfigError, EncodingError, ProgramError
from vta.isa import Finish, Instruction, Isa, Load, MemId, Store
from vta.isa.capabilities import capabilities_of, describe, needed_by
from vta.program_sources import ProgramSources

__all__ = [
    "FORMAT_VERSION",
    "MAX_DIMENSIONS",
    "MAX_TENSORS",
    "MAX_TENSOR_BYTES",
    "UOP_BUFFER",
    "Program",
    "Relocation",
    "TensorSpec",
]

FORMAT_VERSION = 1
UOP_BUFFER = -1
"""The `argument` of a relocation that points into the program's own micro-ops."""
MAX_TENSORS = 4096
MAX_DIMENSIONS = 32
MAX_TENSOR_BYTES = 1 << 44
"""What ``dram_base`` reaches: 2^32 elements of a page each."""

_CODE, _UOPS, _RELOCATIONS = "instructions.bin", "uops.bin", "relocations.bin"
_SOURCES = "sources.json"
_FILE = FileKind(
    "vta-program", FORMAT_VERSION, "VTA program", (_CODE, _UOPS, _RELOCATIONS), ProgramError,
    optional=(_SOURCES,),
)  # fmt: skip
_MAX_ERROR_TEXT = 1000
_DTYPE = re.compile(r"u?int(4|8|16|32)")
_RELOCATION_DTYPE = np.dtype([("instruction", "<u4"), ("argument", "<i4")])


@dataclass(frozen=True)
class TensorSpec:
    """One argument: a dense row-major tensor in device memory.

    Attributes
    ----------
    name : str
        For messages.
    shape : tuple of int
        Extents in scalars, all positive: at most :data:`MAX_DIMENSIONS`, and
        :data:`MAX_TENSOR_BYTES` in all.
    dtype : str
        ``int4`` (two values a byte), ``int8``, ``int16``, ``int32`` or the unsigned kinds.
    read, written : bool
        Whether the program loads from it, stores to it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: bool = False
    written: bool = False

    def __post_init__(self) -> None:
        if not _DTYPE.fullmatch(self.dtype):
            raise ProgramError(f"tensor {self.name}: dtype {self.dtype!r}; must be an integer type")
        if len(self.shape) > MAX_DIMENSIONS:
            raise ProgramError(
                f"tensor {self.name}: {len(self.shape)} dimensions; at most {MAX_DIMENSIONS}"
            )
        scalars = 1
        for axis, extent in enumerate(self.shape):
            if isinstance(extent, bool) or not isinstance(extent, int) or extent <= 0:
                raise ProgramError(
                    f"tensor {self.name}: shape {self.shape}; extents must be positive integers"
                )
            if extent > MAX_TENSOR_BYTES * 8 or scalars * extent * self.bits > MAX_TENSOR_BYTES * 8:
                raise ProgramError(
                    f"tensor {self.name}: the first {axis + 1} of {len(self.shape)} extents make "
                    f"more than {MAX_TENSOR_BYTES} bytes"
                )
            scalars *= extent

    @property
    def bits(self) -> int:
        """Bits of one scalar."""
        return dtypes.bits(self.dtype)

    @cached_property
    def nbytes(self) -> int:
        """Bytes in device memory; 4-bit scalars lie two in a byte."""
        return dtypes.nbytes(self.shape, self.dtype)


@dataclass(frozen=True, slots=True)
class Relocation:
    """``instruction``'s dram_base is an offset into ``argument``: an index into the tensors, or
    :data:`UOP_BUFFER`."""

    instruction: int
    argument: int


@dataclass(frozen=True)
class Program:
    """A compiled kernel.

    Attributes
    ----------
    name : str
        For messages.
    cfg : VTAConfig
        The machine that it was compiled for; its fingerprint is what another machine must match.
    code : bytes
        The encoded instructions, 16 bytes each, FINISH last.
    uops : bytes
        The micro-op words, 4 bytes each, little-endian.
    tensors : tuple of TensorSpec
        The arguments, in the order of a call.
    relocations : tuple of Relocation
        One for every instruction that moves data, in the order of the stream.
    sources : ProgramSources
        What emitted each instruction, for people; there may be none.

    Raises
    ------
    ProgramError
        If the parts do not fit each other (see :meth:`check` for what the stream itself must obey).
    """

    name: str
    cfg: VTAConfig
    code: bytes = field(repr=False)
    uops: bytes = field(repr=False)
    tensors: tuple[TensorSpec, ...]
    relocations: tuple[Relocation, ...] = field(repr=False)
    sources: ProgramSources = field(default=ProgramSources(), repr=False)

    def __post_init__(self) -> None:
        if len(self.code) % INSN_BYTES:
            raise self._error(f"the code is {len(self.code)} bytes; must be a multiple of 16")
        if len(self.uops) % UOP_BYTES:
            raise self._error(f"the micro-ops are {len(self.uops)} bytes; must be a multiple of 4")
        if len(self.tensors) > MAX_TENSORS:
            raise self._error(f"{len(self.tensors)} tensors; at most {MAX_TENSORS}")
        if self.sources and len(self.sources.numbers) != self.instruction_count:
            raise self._error(
                f"{len(self.sources.numbers)} sources for {self.instruction_count} instructions"
            )
        last = -1
        for item in self.relocations:
            if not last < item.instruction < self.instruction_count:
                raise self._error(
                    f"relocation of instruction {item.instruction} after that of {last}, of "
                    f"{self.instruction_count} instructions; must be ascending and in range"
                )
            if not UOP_BUFFER <= item.argument < len(self.tensors):
                raise self._error(
                    f"instruction {item.instruction} points to argument {item.argument}; "
                    f"there are {len(self.tensors)} tensors"
                )
            last = item.instruction

    def _error(self, message: str) -> ProgramError:
        return ProgramError(f"program {self.name!r}: {message}")

    @property
    def instruction_count(self) -> int:
        return len(self.code) // INSN_BYTES

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        """The typed instructions, with dram_base as element offsets."""
        return tuple(Isa.of(self.cfg).decode_all(self.code))

    @cached_property
    def dram_bytes(self) -> int:
        """Bytes that a run moves between the machine and its memory."""
        return sum(
            insn.x_size * insn.y_size * _elem_bytes(self.cfg, insn)
            for insn in self.instructions
            if isinstance(insn, Load | Store)
        )

    @cached_property
    def uop_words(self) -> npt.NDArray[np.uint32]:
        """The micro-ops as read-only words, shape (n,)."""
        return np.frombuffer(self.uops, "<u4")

    # ---- running ---------------------------------------------------------------------------------

    def require_machine(self, cfg: VTAConfig) -> None:
        """Refuse a machine that this program was not compiled for.

        Raises
        ------
        ProgramError
            Naming both configurations and the keys in which they differ, or the part of the
            instruction set extension that the program uses and the machine lacks.
        """
        if self.cfg.fingerprint != cfg.fingerprint:
            raise self._error(
                f"compiled for {self.cfg.fingerprint}, but the machine is {cfg.fingerprint} "
                f"(program and machine differ in: {self.cfg.differences(cfg)})"
            )
        lacking = ~capabilities_of(cfg)
        if lacking and (missing := needed_by(self.instructions) & lacking):
            raise self._error(
                f"uses {describe(missing)} of the instruction set extension, which the machine "
                f"lacks (its EXTENSION is {cfg.extension}); compile it with EXTENSION 0"
            )

    def relocate(self, addresses: Sequence[int], uop_address: int) -> bytes:
        """The stream with the buffers' places filled in.

        Parameters
        ----------
        addresses : sequence of int
            Physical byte address of each argument.
        uop_address : int
            Physical byte address of the micro-ops.

        Returns
        -------
        bytes
            The instructions, ready to run.

        Raises
        ------
        ProgramError
            If an address is no multiple of the element that is transferred there, or beyond the
            field's 32 bits (29 of a LOAD with a pad value).
        """
        if len(addresses) != len(self.tensors):
            raise self._error(f"{len(addresses)} addresses for {len(self.tensors)} tensors")
        isa = Isa.of(self.cfg)
        base_field = isa.memory["dram_base"]
        words = np.frombuffer(self.code, "<u8").reshape(-1, 2).copy()
        where, arguments, sizes = self._relocation_table
        places = np.array([*addresses, uop_address], dtype=np.int64)[arguments]
        if (places % sizes).any():
            n = int(np.nonzero(places % sizes)[0][0])
            raise self._error(
                f"instruction {where[n]} moves elements of {sizes[n]} bytes, but its buffer is at "
                f"0x{places[n]:x}; must be a multiple"
            )
        pad_flag = isa.pad_load["has_pad_value"]
        has_pad_value = words[where, 0] >> np.uint64(pad_flag.offset) != 0
        highest = np.where(has_pad_value, isa.pad_load["dram_base"].high, base_field.high)
        offsets = words[where, 0] >> np.uint64(base_field.offset) & highest.astype(np.uint64)
        total = offsets.astype(np.int64) + places // sizes
        if (total > highest).any():
            n = int(np.argmax(total - highest))
            raise self._error(
                f"instruction {where[n]} would start at element {total[n]}; "
                f"must be at most {highest[n]}"
            )
        words[where, 0] += (places // sizes).astype(np.uint64) << np.uint64(base_field.offset)
        return words.tobytes()

    @cached_property
    def _relocation_table(
        self,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Of each relocation: the instruction, the argument, and the bytes of the elements
        moved."""
        isa = Isa.of(self.cfg)
        where = np.array([r.instruction for r in self.relocations], dtype=np.int64)
        arguments = np.array([r.argument for r in self.relocations], dtype=np.int64)
        words = np.frombuffer(self.code, "<u8").reshape(-1, 2)[where]
        kind = isa.memory["memory"]
        sizes = np.ones(kind.high + 1, dtype=np.int64)
        for memory in MemId:
            sizes[memory] = isa.elem_bytes(memory)
        half, shift = divmod(kind.offset, 64)
        kinds = words[:, half] >> np.uint64(shift) & np.uint64(kind.high)
        return where, arguments, sizes[kinds.astype(np.intp)]

    # ---- checking --------------------------------------------------------------------------------

    def check(self) -> None:
        """Verify what makes a stream safe to run on any buffers of its arguments' sizes.

        Every instruction decodes and is legal, FINISH is last, every transfer that moves data is
        relocated, and none leaves its buffer or goes the wrong way.

        Raises
        ------
        ProgramError
            Naming the instruction.
        """
        isa = Isa.of(self.cfg)
        try:  # not `instructions`, which keeps what it decodes
            insns = isa.decode_all(self.code)
        except EncodingError as error:
            raise self._error(str(error)) from None
        if not insns or not isinstance(insns[-1], Finish):
            raise self._error("the last instruction must be FINISH")
        targets = {r.instruction: r.argument for r in self.relocations}
        for index, insn in enumerate(insns):
            why = isa.why_illegal(insn)
            if why is None and isinstance(insn, Finish) and index + 1 < len(insns):
                why = "FINISH before the end"
            if why is None and isinstance(insn, Load | Store):
                why = self._why_transfer(insn, targets.pop(index, None))
            if why is not None:
                raise self._error(f"instruction {index}: {why}")
        if targets:
            raise self._error(f"instruction {min(targets)} is relocated, but moves no data")

    def _why_transfer(self, insn: Load | Store, argument: int | None) -> str | None:
        if insn.is_nop:
            return None if argument is None else "a NOP is relocated"
        if argument is None:  # zeros come from no buffer
            only_zeros = isinstance(insn, Load) and not insn.y_size
            return None if only_zeros else "a transfer without a relocation has no buffer"
        if (insn.memory is MemId.UOP) != (argument == UOP_BUFFER):
            return f"a transfer of {insn.memory.name} points to the wrong kind of buffer"
        if argument == UOP_BUFFER:
            name, nbytes = "micro-ops", len(self.uops)
        else:
            spec = self.tensors[argument]
            name, nbytes = spec.name, spec.nbytes
            if not (spec.written if isinstance(insn, Store) else spec.read):
                return f"a {insn.opcode.name} on {name}, which is not declared so"
        rows = insn.y_size
        end = insn.dram_base + (rows - 1) * insn.x_stride + insn.x_size if rows else 0
        end *= _elem_bytes(self.cfg, insn)
        return None if end <= nbytes else f"reaches byte {end} of {name}, which has {nbytes}"

    # ---- files -----------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the program to a file; the same program gives the same bytes.

        Raises
        ------
        ProgramError
            If the file cannot be written.
        """
        try:
            Path(path).write_bytes(self.to_bytes())
        except OSError as error:
            raise self._error(f"cannot be saved: {error}") from None

    def to_bytes(self) -> bytes:
        """The contents of a program file."""
        manifest = {
            "name": self.name,
            "fingerprint": self.cfg.fingerprint,
            "config": self.cfg.to_dict(),
            "tensors": [dataclasses.asdict(tensor) for tensor in self.tensors],
        }
        table = np.array(
            [(r.instruction, r.argument) for r in self.relocations], dtype=_RELOCATION_DTYPE
        )
        members = {
            _CODE: self.code, _UOPS: self.uops, _RELOCATIONS: table.tobytes(),
            _SOURCES: self.sources.to_json(),
        }  # fmt: skip
        content = _FILE.pack(manifest, members)
        remember_calls(content, self.sources.calls)
        return content

    @classmethod
    def load(cls, path: str | Path) -> Program:
        """Read and check a program file. Nothing in it is executed.

        Raises
        ------
        ProgramError
            If the file is unreadable, truncated, foreign, newer than this version, or inconsistent.
        """
        return cls.from_bytes(_FILE.read_file(path), where=str(path))

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str = "program") -> Program:
        """The checked program in the contents of a file; ``where`` names it in errors.

        Raises
        ------
        ProgramError
            As :meth:`load`.
        """
        try:
            manifest, members = _FILE.unpack(data)
            program = cls._from_parts(manifest, members)
        except (ProgramError, ConfigError) as error:
            raise ProgramError(f"{where}: {shown(str(error), _MAX_ERROR_TEXT)}") from None
        except (ValueError, OverflowError) as error:
            raise ProgramError(f"{where}: not a VTA program, or damaged: {error}") from None
        if calls := calls_of(data):
            program = dataclasses.replace(program, sources=program.sources.with_calls(calls))
        program.check()
        return program

    @classmethod
    def _from_parts(cls, manifest: Mapping[str, Any], parts: Mapping[str, bytes]) -> Program:
        cfg = VTAConfig.from_dict(_FILE.entry(manifest, "config", dict))
        fingerprint = _FILE.entry(manifest, "fingerprint", str)
        if fingerprint != cfg.fingerprint:
            raise ProgramError(
                f"the fingerprint says {fingerprint}, the configuration gives {cfg.fingerprint}"
            )
        tensors = []
        items = _FILE.entry(manifest, "tensors", list)
        if len(items) > MAX_TENSORS:
            raise ProgramError(f"{len(items)} tensors; at most {MAX_TENSORS}")
        for item in items:
            if not isinstance(item, dict):
                raise ProgramError(f"a tensor is a JSON object; got {type(item).__name__}")
            tensors.append(
                TensorSpec(
                    _FILE.entry(item, "name", str),
                    tuple(_FILE.entry(item, "shape", list)),
                    _FILE.entry(item, "dtype", str),
                    _FILE.entry(item, "read", bool),
                    _FILE.entry(item, "written", bool),
                )
            )
        if len(parts[_RELOCATIONS]) // _RELOCATION_DTYPE.itemsize > len(parts[_CODE]) // INSN_BYTES:
            raise ProgramError(
                f"{_RELOCATIONS} has {len(parts[_RELOCATIONS])} bytes, {_CODE} "
                f"{len(parts[_CODE])}; there is at most one relocation of 8 bytes for each "
                f"instruction of 16"
            )
        table = np.frombuffer(parts[_RELOCATIONS], _RELOCATION_DTYPE)
        relocations = tuple(Relocation(int(i), int(a)) for i, a in table.tolist())
        name = _FILE.entry(manifest, "name", str)
        sources = ProgramSources.from_json(parts[_SOURCES], len(parts[_CODE]) // INSN_BYTES)
        return cls(name, cfg, parts[_CODE], parts[_UOPS], tuple(tensors), relocations, sources)


def _elem_bytes(cfg: VTAConfig, insn: Instruction) -> int:
    """Bytes of the DRAM elements that a transfer addresses."""
    assert isinstance(insn, Load | Store)
    return Isa.of(cfg).elem_bytes(insn.memory)
