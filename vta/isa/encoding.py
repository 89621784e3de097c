"""The bits of instructions and micro-ops: formats, encoder, decoder, legality.

An instruction is 128 bits, little-endian. Field offsets depend on the configuration, as C
bit-fields of the sizes below would lie: the first 64 bits never depend on more than the micro-op
depth, the second 64 bits on the SRAM depths. A micro-op is 32 bits. The hardware slices
instructions with the same tables (:meth:`Isa.format_of`), so a field has one home.

Bits that no field covers must be zero: they are where extensions will live, and a machine without
the extension must not take such an instruction for another one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from vta.config import INSN_BYTES, ITER_BITS, UOP_BYTES
from vta.errors import EncodingError
from vta.isa.alu_operations import RUN_OPERATIONS, AluOpcode
from vta.isa.capabilities import Capability, capabilities_of, describe, needed_by
from vta.isa.formats import Format, Part, sequence
from vta.isa.instructions import (
    Alu,
    Finish,
    Gemm,
    Instruction,
    Load,
    MemId,
    MicroOpLoop,
    Opcode,
    Store,
    Uop,
)
from vta.isa.tokens import TOKEN_FLAGS

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.config import VTAConfig

__all__ = [
    "IMM_BITS",
    "INSN_BITS",
    "MAX_PAD_DRAM_BASE",
    "MAX_TRANSFER_PAD",
    "MAX_TRANSFER_SIZE",
    "PAD_VALUE_MEMORIES",
    "UOP_BITS",
    "IllegalEncodingError",
    "Isa",
]

INSN_BITS = INSN_BYTES * 8
UOP_BITS = UOP_BYTES * 8
IMM_BITS = 16
SIZE_BITS = 16
PAD_BITS = 4
MAX_TRANSFER_SIZE = (1 << SIZE_BITS) - 1
"""Largest ``x_size``, ``y_size`` and ``x_stride`` of a LOAD or STORE."""
MAX_TRANSFER_PAD = (1 << PAD_BITS) - 1
"""Largest padding of a LOAD on each of the four sides, in tiles or rows."""


PAD_DRAM_BITS = 29
MAX_PAD_DRAM_BASE = (1 << PAD_DRAM_BITS) - 1
"""Largest ``dram_base`` of a LOAD with a pad value, in elements."""
PAD_VALUE_MEMORIES = (MemId.INP, MemId.ACC, MemId.ACC_8BIT)
"""What a LOAD may pad with other values than 0."""


class IllegalEncodingError(EncodingError):
    """128 bits that are no instruction of this machine."""


_TYPES: dict[Opcode, type[Instruction]] = {
    cls.opcode: cls for cls in (Load, Store, Gemm, Finish, Alu)
}
_FLAGS = ("pop_prev", "pop_next", "push_prev", "push_next")
_BOOLS = frozenset((*_FLAGS, "reset", "start", "use_imm"))
_START_BIT = 63
"""Of GEMM and ALU, with the extension: no loop field reaches this bit, however deep the micro-op
SRAM."""
_PADS_BIT = 63
"""Of a LOAD, with the extension: the word has the format :attr:`Isa.pad_load`."""


class Isa:
    """The instruction set of one configuration: formats, encoder and decoder.

    Parameters
    ----------
    cfg : VTAConfig
        The machine. ``Isa.of(cfg)`` returns one shared object for each configuration.
    """

    def __init__(self, cfg: VTAConfig) -> None:
        self.cfg = cfg
        uop, inp, wgt, acc = (
            cfg.log_uop_depth,
            cfg.log_inp_depth,
            cfg.log_wgt_depth,
            cfg.log_acc_depth,
        )
        head: tuple[Part, ...] = (("opcode", 3), *((flag, 1) for flag in _FLAGS))
        loop: tuple[Part, ...] = (
            *head, ("reset", 1), ("uop_bgn", uop), ("uop_end", uop + 1),
            ("iter_out", ITER_BITS), ("iter_in", ITER_BITS),
        )  # fmt: skip
        factors: tuple[Part, ...] = (64, ("dst_factor_out", acc), ("dst_factor_in", acc))
        start: tuple[Part, ...] = (_START_BIT, ("start", 1)) if cfg.extension else ()
        sizes: tuple[Part, ...] = (
            64, ("y_size", SIZE_BITS), ("x_size", SIZE_BITS), ("x_stride", SIZE_BITS),
            ("y_pad_0", PAD_BITS), ("y_pad_1", PAD_BITS),
            ("x_pad_0", PAD_BITS), ("x_pad_1", PAD_BITS),
        )  # fmt: skip
        self.memory = sequence(
            "LOAD/STORE", *head, ("memory", 3), ("sram_base", 16), ("dram_base", 32), *sizes,
            bits=INSN_BITS,
        )  # fmt: skip
        self.pad_load = sequence(
            "LOAD", *head, ("memory", 3), ("sram_base", 16), ("dram_base", PAD_DRAM_BITS),
            ("pad_value", 8, True), _PADS_BIT, ("has_pad_value", 1), *sizes, bits=INSN_BITS,
        )  # fmt: skip
        """A LOAD with a pad value: the upper bits of ``dram_base`` are a part of the value."""
        self.gemm = sequence(
            "GEMM", *loop, *start, *factors, ("src_factor_out", inp), ("src_factor_in", inp),
            ("wgt_factor_out", wgt), ("wgt_factor_in", wgt), bits=INSN_BITS,
        )  # fmt: skip
        self.alu = sequence(
            "ALU", *loop, *start, *factors, ("src_factor_out", acc), ("src_factor_in", acc),
            ("alu_opcode", 3), ("use_imm", 1), ("imm", IMM_BITS, True), bits=INSN_BITS,
        )  # fmt: skip
        self.finish = sequence("FINISH", *head, bits=INSN_BITS)
        self.uop = sequence(
            "UOP", ("dst", acc), ("src", max(acc, inp)), ("wgt", wgt), bits=UOP_BITS
        )

    @property
    def capabilities(self) -> Capability:
        """The parts of the instruction set extension that the machine has."""
        return capabilities_of(self.cfg)

    @staticmethod
    def of(cfg: VTAConfig) -> Isa:
        return _isa_of(cfg)

    def format_of(self, opcode: Opcode) -> Format:
        """The bit layout of the instructions with this opcode."""
        return {
            Opcode.LOAD: self.memory,
            Opcode.STORE: self.memory,
            Opcode.GEMM: self.gemm,
            Opcode.ALU: self.alu,
            Opcode.FINISH: self.finish,
        }[opcode]

    # ---- instructions -----------------------------------------------------------------------

    def encode(self, insn: Instruction) -> bytes:
        """The 16 bytes of an instruction.

        Raises
        ------
        EncodingError
            If a value does not fit its field, naming the field, the value and the range; or if the
            instruction belongs to the extension, which the machine does not have.
        """
        if missing := needed_by((insn,)) & ~self.capabilities:
            raise EncodingError(
                f"{insn.opcode.name}: needs {describe(missing)} of the instruction set extension; "
                f"EXTENSION is {self.cfg.extension}"
            )
        values = {field.name: getattr(insn, field.name) for field in fields(insn)}
        values["opcode"] = insn.opcode
        layout = self.format_of(insn.opcode)
        if isinstance(insn, Load) and insn.pad_value:
            layout = self.pad_load
            values["has_pad_value"] = 1
        return layout.pack(values).to_bytes(INSN_BYTES, "little")

    def encode_all(
        self, insns: Iterable[Instruction], flags: Iterable[Collection[str]] = ()
    ) -> bytes:
        """A stream.

        Parameters
        ----------
        insns : iterable of Instruction
        flags : iterable of collection of str
            For each instruction the token flags that are set beside its own; none by default.

        Raises
        ------
        EncodingError
            As :meth:`encode`; it names the instruction's number too.
        """
        stream = list(insns)
        groups: dict[tuple[type[Instruction], bool], list[int]] = {}
        for index, insn in enumerate(stream):
            groups.setdefault((type(insn), bool(getattr(insn, "pad_value", 0))), []).append(index)
        words = np.zeros((len(stream), INSN_BYTES // 8), np.uint64)
        fits = not needed_by(stream) & ~self.capabilities
        for (kind, pads), which in groups.items():
            if not fits:
                break
            layout = self.pad_load if pads else self.format_of(kind.opcode)
            constants = {"opcode": int(kind.opcode), "has_pad_value": 1}
            found = layout.pack_all([stream[index] for index in which], constants)
            if found is None:
                fits = False
            else:
                words[which] = found
        if fits:
            bits = {name: 1 << self.finish[name].offset for name in _FLAGS}
            tokens = [sum(map(bits.__getitem__, names)) for names in flags]
            words[: len(tokens), 0] |= np.array(tokens, np.uint64)
            return words.astype("<u8").tobytes()
        for index, insn in enumerate(stream):
            try:
                self.encode(insn)
            except EncodingError as error:
                raise EncodingError(f"instruction {index}: {error}") from None
        raise AssertionError("each instruction can be encoded, but not all of them")

    @lru_cache(maxsize=1024)  # noqa: B019 - programs repeat their words; an Isa is a few formats
    def decode(self, word: bytes) -> Instruction:
        """The typed instruction in 16 bytes.

        Raises
        ------
        IllegalEncodingError
            For an opcode, memory id or ALU opcode that the machine does not have, or a bit set
            that belongs to no field.
        """
        if len(word) != INSN_BYTES:
            raise IllegalEncodingError(f"an instruction is {INSN_BYTES} bytes; got {len(word)}")
        value = int.from_bytes(word, "little")
        code = value & 7
        if code not in _TYPES:
            raise IllegalEncodingError(f"opcode {code} does not exist (word 0x{value:032x})")
        opcode = Opcode(code)
        layout = self.format_of(opcode)
        if opcode is Opcode.LOAD and self.cfg.extension and value >> _PADS_BIT & 1:
            layout = self.pad_load
        if value & layout.reserved_mask:
            raise IllegalEncodingError(
                f"{opcode.name} has bits set that belong to no field: "
                f"0x{value & layout.reserved_mask:032x} (word 0x{value:032x})"
            )
        raw: dict[str, Any] = layout.unpack(value)
        del raw["opcode"]
        if raw.pop("has_pad_value", 0) and not raw["pad_value"]:
            raise IllegalEncodingError(f"LOAD has a pad value of 0 (word 0x{value:032x})")
        for name in _BOOLS & raw.keys():
            raw[name] = bool(raw[name])
        try:
            if "memory" in raw:
                raw["memory"] = MemId(raw["memory"])
            if "alu_opcode" in raw:
                raw["alu_opcode"] = AluOpcode.of(raw["alu_opcode"])
        except ValueError as error:
            raise IllegalEncodingError(f"{opcode.name}: {error} (word 0x{value:032x})") from None
        insn = _TYPES[opcode](**raw)
        if missing := needed_by((insn,)) & ~self.capabilities:
            raise IllegalEncodingError(
                f"{opcode.name}: needs {describe(missing)} of the instruction set extension; "
                f"EXTENSION is {self.cfg.extension} (word 0x{value:032x})"
            )
        return insn

    def decode_all(self, stream: bytes) -> list[Instruction]:
        """The instructions of a stream; an error names the instruction's number.

        Raises
        ------
        IllegalEncodingError
            Also if the length is no multiple of 16.
        """
        if len(stream) % INSN_BYTES:
            raise IllegalEncodingError(
                f"an instruction stream is a multiple of {INSN_BYTES} bytes; got {len(stream)}"
            )
        out = []
        for offset in range(0, len(stream), INSN_BYTES):
            try:
                out.append(self.decode(stream[offset : offset + INSN_BYTES]))
            except IllegalEncodingError as error:
                raise IllegalEncodingError(f"instruction {offset // INSN_BYTES}: {error}") from None
        return out

    # ---- micro-ops --------------------------------------------------------------------------

    def encode_uop(self, uop: Uop) -> int:
        """The 32-bit word of a micro-op.

        Raises
        ------
        EncodingError
            If an index does not fit its field.
        """
        return self.uop.pack({"dst": uop.dst, "src": uop.src, "wgt": uop.wgt})

    def encode_uops(self, uops: Sequence[Uop]) -> npt.NDArray[np.uint32]:
        """Micro-ops as the little-endian words that a uop LOAD reads, shape (n,)."""
        rows = [(uop.dst, uop.src, uop.wgt) for uop in uops]
        dst, src, wgt = np.array(rows, np.int64).reshape(-1, 3).T
        return self.encode_indices(dst, src, wgt)

    def encode_indices(
        self, dst: npt.ArrayLike, src: npt.ArrayLike, wgt: npt.ArrayLike
    ) -> npt.NDArray[np.uint32]:
        """:meth:`encode_uops` of arrays of indices, int64, shape (n,).

        Raises
        ------
        EncodingError
            If an index does not fit its field; it names the first one.
        """
        values = {
            name: np.asarray(each, np.int64)
            for name, each in zip(("dst", "src", "wgt"), (dst, src, wgt))
        }
        words = np.zeros(values["dst"].shape, np.int64)
        for field in self.uop.fields:
            wide = values[field.name]
            if wide.size and (wide.min() < field.low or wide.max() > field.high):
                (wrong, *_) = np.flatnonzero((wide < field.low) | (wide > field.high))
                self.uop.pack({name: int(each[wrong]) for name, each in values.items()})
            words |= wide << field.offset
        return words.astype("<u4")

    def decode_uop(self, word: int) -> Uop:
        return Uop(**self.uop.unpack(int(word)))

    def uop_indices(self, words: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.int64]]:
        """The fields ``dst``, ``src``, ``wgt`` of an array of micro-op words, each of the array's
        shape, int64."""
        wide = np.asarray(words).astype(np.int64)
        return {f.name: (wide >> f.offset) & ((1 << f.width) - 1) for f in self.uop.fields}

    # ---- memories ---------------------------------------------------------------------------

    def elem_bytes(self, memory: MemId) -> int:
        """Bytes in DRAM of what a LOAD or STORE of this memory calls an element."""
        return {
            MemId.UOP: self.cfg.uop_elem_bytes,
            MemId.WGT: self.cfg.wgt_elem_bytes,
            MemId.INP: self.cfg.inp_elem_bytes,
            MemId.ACC: self.cfg.acc_elem_bytes,
            MemId.OUT: self.cfg.out_elem_bytes,
            MemId.ACC_8BIT: self.cfg.acc8_elem_bytes,
        }[memory]

    def depth(self, memory: MemId) -> int:
        """Entries of the on-chip memory that a LOAD or STORE of this memory touches."""
        return {
            MemId.UOP: self.cfg.uop_depth,
            MemId.WGT: self.cfg.wgt_depth,
            MemId.INP: self.cfg.inp_depth,
            MemId.ACC: self.cfg.acc_depth,
            MemId.OUT: self.cfg.acc_depth,
            MemId.ACC_8BIT: self.cfg.acc_depth,
        }[memory]

    # ---- legality ---------------------------------------------------------------------------

    def why_illegal(self, insn: Instruction) -> str | None:
        """Why the machine refuses a well-formed instruction, or None if it takes it.

        These are the rules that need no machine state: flags that the module lacks, a memory that
        the direction lacks, padding on a store, a pad value for weights or micro-ops, a micro-op
        range that ends before it begins or beyond the SRAM, a GEMM that starts sums and resets, an
        operation that cannot start runs, a second operand of an operation that has one, an
        immediate in place of the second one of an operation that has three.
        """
        module = insn.module
        for flag in _FLAGS:
            if getattr(insn, flag) and flag not in TOKEN_FLAGS[module]:
                neighbour = "previous" if flag.endswith("prev") else "next"
                return (
                    f"the {module.name.lower()} module has no {neighbour} module to exchange "
                    f"tokens with"
                )
        if isinstance(insn, Load) and insn.memory is MemId.OUT:
            return "a LOAD cannot write OUT"
        if isinstance(insn, Load) and insn.pad_value and insn.memory not in PAD_VALUE_MEMORIES:
            return f"a LOAD of {insn.memory.name} pads with 0; got {insn.pad_value}"
        if isinstance(insn, Store) and not insn.is_nop:
            if insn.memory not in (MemId.OUT, MemId.ACC):
                return f"a STORE reads OUT or ACC; got {insn.memory.name}"
            if insn.y_pad_0 or insn.y_pad_1 or insn.x_pad_0 or insn.x_pad_1:
                return "a STORE cannot pad"
        if isinstance(insn, MicroOpLoop):
            if insn.uop_end < insn.uop_bgn:
                return f"the micro-op range [{insn.uop_bgn}, {insn.uop_end}) ends before it begins"
            if insn.uop_end > self.cfg.uop_depth:
                depth = self.cfg.uop_depth
                return f"the micro-op range ends at {insn.uop_end}; the micro-op SRAM has {depth}"
        if isinstance(insn, Gemm) and insn.start and insn.reset:
            return "a GEMM cannot start sums and reset"
        if isinstance(insn, Alu) and insn.start and insn.alu_opcode not in RUN_OPERATIONS:
            names = ", ".join(operation.name for operation in RUN_OPERATIONS)
            return f"{insn.alu_opcode.name} cannot start runs; {names} can"
        if isinstance(insn, Alu) and insn.alu_opcode.is_unary and (insn.imm or not insn.use_imm):
            return (
                f"{insn.alu_opcode.name} has one operand: use_imm must be 1 and imm 0; "
                f"got use_imm {insn.use_imm:d} and imm {insn.imm}"
            )
        if isinstance(insn, Alu) and insn.alu_opcode.is_ternary and insn.use_imm:
            return (
                f"{insn.alu_opcode.name} takes its parameters from acc[src]: use_imm must be 0; "
                f"got 1"
            )
        return None


@lru_cache(maxsize=64)
def _isa_of(cfg: VTAConfig) -> Isa:
    return Isa(cfg)
