"""The instruction set, once: opcodes, fields, typed instructions, and their bits.

An instruction is 128 bits, little-endian. Field offsets depend on the configuration, as C
bit-fields of the sizes below would lie: the first 64 bits never depend on more than the micro-op
depth, the second 64 bits on the SRAM depths. A micro-op is 32 bits. The hardware slices
instructions with the same tables (:meth:`Isa.format_of`), so a field has one home.

Bits that no field covers must be zero: they are where extensions will live, and a machine without
the extension must not take such an instruction for another one.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vta.config import INSN_BYTES, ITER_BITS, UOP_BYTES
from vta.errors import EncodingError

if TYPE_CHECKING:
    import numpy.typing as npt

    from vta.config import VTAConfig

__all__ = [
    "Alu",
    "AluOpcode",
    "Field",
    "Finish",
    "Format",
    "Gemm",
    "IllegalEncodingError",
    "Instruction",
    "Isa",
    "Load",
    "MemId",
    "Module",
    "Opcode",
    "Store",
    "TokenCounts",
    "Uop",
    "disassemble",
]

INSN_BITS = INSN_BYTES * 8
UOP_BITS = UOP_BYTES * 8
IMM_BITS = 16


class Opcode(enum.IntEnum):
    LOAD = 0
    STORE = 1
    GEMM = 2
    FINISH = 3
    ALU = 4


class AluOpcode(enum.IntEnum):
    MIN = 0
    MAX = 1
    ADD = 2
    SHR = 3
    """Arithmetic shift right; a negative operand shifts left."""
    MUL = 4


class MemId(enum.IntEnum):
    """What a LOAD writes or a STORE reads."""

    UOP = 0
    WGT = 1
    INP = 2
    ACC = 3
    OUT = 4
    ACC_8BIT = 5


class Module(enum.IntEnum):
    """The three modules, numbered as the stages of the original runtime."""

    LOAD = 1
    COMPUTE = 2
    STORE = 3


class IllegalEncodingError(EncodingError):
    """128 bits that are no instruction of this machine."""


# ---- formats: where the bits are ------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A bit field: ``name`` at bits ``[offset + width - 1 : offset]``, two's complement if
    ``signed``."""

    name: str
    offset: int
    width: int
    signed: bool = False

    @property
    def low(self) -> int:
        """Smallest value that fits."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest value that fits."""
        return (1 << (self.width - self.signed)) - 1


@dataclass(frozen=True)
class Format:
    """The layout of one kind of word: ``fields`` in a word of ``bits`` bits; what no field covers
    is zero."""

    name: str
    bits: int
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        used = 0
        for field in self.fields:
            mask = ((1 << field.width) - 1) << field.offset
            assert field.width > 0 and field.offset + field.width <= self.bits, field
            assert not used & mask, f"{self.name}: {field} overlaps another field"
            used |= mask

    @cached_property
    def reserved_mask(self) -> int:
        """The bits that no field covers."""
        used = 0
        for field in self.fields:
            used |= ((1 << field.width) - 1) << field.offset
        return ((1 << self.bits) - 1) & ~used

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    def pack(self, values: dict[str, int]) -> int:
        """The word with these field values.

        Raises
        ------
        EncodingError
            If a value does not fit its field.
        """
        word = 0
        for field in self.fields:
            value = int(values[field.name])
            if not field.low <= value <= field.high:
                raise EncodingError(
                    f"{self.name}: field {field.name} is {value}; "
                    f"must be in {field.low}..{field.high} ({field.width} bits)"
                )
            word |= (value & ((1 << field.width) - 1)) << field.offset
        return word

    def unpack(self, word: int) -> dict[str, int]:
        """The field values of a word."""
        values = {}
        for field in self.fields:
            value = (word >> field.offset) & ((1 << field.width) - 1)
            if field.signed and value >> (field.width - 1):
                value -= 1 << field.width
            values[field.name] = value
        return values


_Part = tuple[str, int] | tuple[str, int, bool] | int


def _sequence(name: str, *parts: _Part, bits: int) -> Format:
    """A format from consecutive (name, width[, signed]) parts; a bare integer moves on to that
    offset."""
    offset, out = 0, []
    for part in parts:
        if isinstance(part, int):
            assert part >= offset, f"{name}: fields overrun bit {part}"
            offset = part
        else:
            out.append(Field(part[0], offset, part[1], *part[2:]))
            offset += part[1]
    return Format(name, bits, tuple(out))


# ---- typed instructions ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """Base of the typed instructions. The four flags say which tokens are popped before and pushed
    after.

    ``prev`` and ``next`` are the neighbours in the order load, compute, store.
    """

    opcode: ClassVar[Opcode]

    pop_prev: bool = False
    pop_next: bool = False
    push_prev: bool = False
    push_next: bool = False

    @property
    def module(self) -> Module:
        """The module whose queue the instruction goes to."""
        return Module.COMPUTE


@dataclass(frozen=True, kw_only=True, slots=True)
class _Transfer(Instruction):
    """A 2D transfer between DRAM and an SRAM; all sizes and addresses are in elements of
    ``memory``."""

    memory: MemId
    sram_base: int = 0
    dram_base: int = 0
    y_size: int = 0
    x_size: int = 0
    x_stride: int = 0
    y_pad_0: int = 0
    y_pad_1: int = 0
    x_pad_0: int = 0
    x_pad_1: int = 0

    @property
    def is_nop(self) -> bool:
        """A transfer with no columns moves nothing, pads nothing, and only carries tokens."""
        return self.x_size == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Load(_Transfer):
    """DRAM to SRAM. Rows of ``x_size`` elements, ``x_stride`` apart, with zeros around: first
    ``y_pad_0`` rows, then in each row ``x_pad_0`` before and ``x_pad_1`` after, then ``y_pad_1``
    rows; written from ``sram_base`` without gaps."""

    opcode = Opcode.LOAD

    @property
    def module(self) -> Module:
        return Module.LOAD if self.memory in (MemId.INP, MemId.WGT) else Module.COMPUTE


@dataclass(frozen=True, kw_only=True, slots=True)
class Store(_Transfer):
    """SRAM to DRAM: the low bits of accumulator tiles from ``sram_base`` on, in rows ``x_stride``
    apart."""

    opcode = Opcode.STORE
    memory: MemId = MemId.OUT

    @property
    def module(self) -> Module:
        return Module.STORE


@dataclass(frozen=True, kw_only=True, slots=True)
class _Compute(Instruction):
    """A loop nest ``for o < iter_out: for i < iter_in: for u in [uop_bgn, uop_end)`` over
    micro-ops whose indices move by the factors: ``dst = uop.dst + o * dst_factor_out + i *
    dst_factor_in`` and alike."""

    reset: bool = False
    uop_bgn: int = 0
    uop_end: int = 0
    iter_out: int = 1
    iter_in: int = 1
    dst_factor_out: int = 0
    dst_factor_in: int = 0
    src_factor_out: int = 0
    src_factor_in: int = 0

    @property
    def operations(self) -> int:
        """How many micro-operations the nest has."""
        return self.iter_out * self.iter_in * max(self.uop_end - self.uop_bgn, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gemm(_Compute):
    """``acc[dst] += inp[src] @ wgt[wgt].T``, or ``acc[dst] = 0`` with ``reset``."""

    opcode = Opcode.GEMM
    wgt_factor_out: int = 0
    wgt_factor_in: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Alu(_Compute):
    """``acc[dst] = op(acc[dst], imm if use_imm else acc[src])``. ``reset`` is encoded but has no
    meaning here."""

    opcode = Opcode.ALU
    alu_opcode: AluOpcode = AluOpcode.MIN
    use_imm: bool = False
    imm: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Finish(Instruction):
    """Ends the run; the last instruction of the compute module."""

    opcode = Opcode.FINISH


@dataclass(frozen=True, slots=True)
class Uop:
    """A micro-op: three SRAM indices. For the ALU ``src`` is an accumulator index and ``wgt`` is
    unused."""

    dst: int = 0
    src: int = 0
    wgt: int = 0


_TYPES: dict[Opcode, type[Instruction]] = {
    cls.opcode: cls for cls in (Load, Store, Gemm, Finish, Alu)
}
_FLAGS = ("pop_prev", "pop_next", "push_prev", "push_next")
_BOOLS = frozenset((*_FLAGS, "reset", "use_imm"))


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
        head: tuple[_Part, ...] = (("opcode", 3), *((flag, 1) for flag in _FLAGS))
        loop: tuple[_Part, ...] = (
            *head, ("reset", 1), ("uop_bgn", uop), ("uop_end", uop + 1),
            ("iter_out", ITER_BITS), ("iter_in", ITER_BITS),
            64, ("dst_factor_out", acc), ("dst_factor_in", acc),
        )  # fmt: skip
        self.memory = _sequence(
            "LOAD/STORE", *head, ("memory", 3), ("sram_base", 16), ("dram_base", 32),
            64, ("y_size", 16), ("x_size", 16), ("x_stride", 16),
            ("y_pad_0", 4), ("y_pad_1", 4), ("x_pad_0", 4), ("x_pad_1", 4), bits=INSN_BITS,
        )  # fmt: skip
        self.gemm = _sequence(
            "GEMM", *loop, ("src_factor_out", inp), ("src_factor_in", inp),
            ("wgt_factor_out", wgt), ("wgt_factor_in", wgt), bits=INSN_BITS,
        )  # fmt: skip
        self.alu = _sequence(
            "ALU", *loop, ("src_factor_out", acc), ("src_factor_in", acc),
            ("alu_opcode", 3), ("use_imm", 1), ("imm", IMM_BITS, True), bits=INSN_BITS,
        )  # fmt: skip
        self.finish = _sequence("FINISH", *head, bits=INSN_BITS)
        self.uop = _sequence(
            "UOP", ("dst", acc), ("src", max(acc, inp)), ("wgt", wgt), bits=UOP_BITS
        )

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
            If a value does not fit its field, naming the field, the value and the range.
        """
        values = {field.name: getattr(insn, field.name) for field in fields(insn)}
        values["opcode"] = insn.opcode
        return self.format_of(insn.opcode).pack(values).to_bytes(INSN_BYTES, "little")

    def encode_all(self, insns: Iterable[Instruction]) -> bytes:
        """A stream; an :class:`~vta.errors.EncodingError` names the instruction's number too."""
        out = bytearray()
        for index, insn in enumerate(insns):
            try:
                out += self.encode(insn)
            except EncodingError as error:
                raise EncodingError(f"instruction {index}: {error}") from None
        return bytes(out)

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
        if value & layout.reserved_mask:
            raise IllegalEncodingError(
                f"{opcode.name} has bits set that belong to no field: "
                f"0x{value & layout.reserved_mask:032x} (word 0x{value:032x})"
            )
        raw: dict[str, Any] = layout.unpack(value)
        del raw["opcode"]
        for name in _BOOLS & raw.keys():
            raw[name] = bool(raw[name])
        try:
            if "memory" in raw:
                raw["memory"] = MemId(raw["memory"])
            if "alu_opcode" in raw:
                raw["alu_opcode"] = AluOpcode(raw["alu_opcode"])
        except ValueError as error:
            raise IllegalEncodingError(f"{opcode.name}: {error} (word 0x{value:032x})") from None
        return _TYPES[opcode](**raw)

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
        return np.array([self.encode_uop(uop) for uop in uops], dtype="<u4")

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
        }.get(memory, self.cfg.acc_depth)

    # ---- legality ---------------------------------------------------------------------------

    def why_illegal(self, insn: Instruction) -> str | None:
        """Why the machine refuses a well-formed instruction, or None if it takes it.

        These are the rules that need no machine state: flags that the module lacks, a memory that
        the direction lacks, padding on a store, an empty or overlong micro-op range.
        """
        module = insn.module
        if module is Module.LOAD and (insn.pop_prev or insn.push_prev):
            return "the load module has no previous module to exchange tokens with"
        if module is Module.STORE and (insn.pop_next or insn.push_next):
            return "the store module has no next module to exchange tokens with"
        if isinstance(insn, Load) and insn.memory is MemId.OUT:
            return "a LOAD cannot write OUT"
        if isinstance(insn, Store) and not insn.is_nop:
            if insn.memory is not MemId.OUT:
                return f"a STORE reads OUT; got {insn.memory.name}"
            if insn.y_pad_0 or insn.y_pad_1 or insn.x_pad_0 or insn.x_pad_1:
                return "a STORE cannot pad"
        if isinstance(insn, _Compute):
            if insn.uop_end < insn.uop_bgn:
                return f"the micro-op range [{insn.uop_bgn}, {insn.uop_end}) ends before it begins"
            if insn.uop_end > self.cfg.uop_depth:
                depth = self.cfg.uop_depth
                return f"the micro-op range ends at {insn.uop_end}; the micro-op SRAM has {depth}"
        return None


@lru_cache(maxsize=64)
def _isa_of(cfg: VTAConfig) -> Isa:
    return Isa(cfg)


# ---- reading --------------------------------------------------------------------------------


def disassemble(insn: Instruction) -> str:
    """One line of text for people: tokens popped, the operation with its fields, tokens pushed."""
    if isinstance(insn, _Transfer):
        text = _transfer_text(insn)
    elif isinstance(insn, Finish):
        text = "FINISH"
    else:
        assert isinstance(insn, _Compute)
        text = _compute_text(insn)
    pops = [name for name, flag in (("prev", insn.pop_prev), ("next", insn.pop_next)) if flag]
    pushes = [name for name, flag in (("prev", insn.push_prev), ("next", insn.push_next)) if flag]
    if pops:
        text += f"  pop({', '.join(pops)})"
    if pushes:
        text += f"  push({', '.join(pushes)})"
    return text


def _transfer_text(insn: _Transfer) -> str:
    name = insn.opcode.name
    if insn.is_nop:
        return f"NOP ({insn.module.name.lower()})"
    text = (
        f"{name} {insn.memory.name} sram={insn.sram_base} dram=0x{insn.dram_base:x} "
        f"rows={insn.y_size} cols={insn.x_size} stride={insn.x_stride}"
    )
    if insn.y_pad_0 or insn.y_pad_1 or insn.x_pad_0 or insn.x_pad_1:
        text += f" pad(y {insn.y_pad_0},{insn.y_pad_1} x {insn.x_pad_0},{insn.x_pad_1})"
    return text


def _compute_text(insn: _Compute) -> str:
    if isinstance(insn, Alu):
        operand = f"imm {insn.imm}" if insn.use_imm else "acc"
        text = f"ALU {insn.alu_opcode.name} {operand}"
    else:
        text = "GEMM reset" if insn.reset else "GEMM"
    text += f" uop[{insn.uop_bgn}:{insn.uop_end}]"
    for name in ("out", "in"):
        extent = getattr(insn, f"iter_{name}")
        if extent != 1:
            dst, src = (getattr(insn, f"{index}_factor_{name}") for index in ("dst", "src"))
            steps = f"dst+{dst} src+{src}"
            if isinstance(insn, Gemm):
                steps += f" wgt+{getattr(insn, f'wgt_factor_{name}')}"
            text += f" {name}({extent}: {steps})"
    return text


_POPPED_FROM = {
    Module.LOAD: ("", "g2l"), Module.COMPUTE: ("l2g", "s2g"), Module.STORE: ("g2s", ""),
}  # fmt: skip
_PUSHED_TO = {
    Module.LOAD: ("", "l2g"), Module.COMPUTE: ("g2l", "g2s"), Module.STORE: ("s2g", ""),
}  # fmt: skip
"""The queues towards the module before and the one after; empty if there is none."""


@dataclass
class TokenCounts:
    """The four token queues, as counters. Names say from-to: l load, g compute (GEMM), s store."""

    l2g: int = 0
    g2l: int = 0
    g2s: int = 0
    s2g: int = 0

    @staticmethod
    def popped_by(insn: Instruction) -> list[str]:
        """The queues that an instruction pops; a module without that neighbour has none."""
        prev, next_ = _POPPED_FROM[insn.module]
        flags = ((prev, insn.pop_prev), (next_, insn.pop_next))
        return [queue for queue, flag in flags if flag and queue]

    @staticmethod
    def pushed_by(insn: Instruction) -> list[str]:
        """The queues that an instruction pushes; a module without that neighbour has none."""
        prev, next_ = _PUSHED_TO[insn.module]
        flags = ((prev, insn.push_prev), (next_, insn.push_next))
        return [queue for queue, flag in flags if flag and queue]

    def pop(self, insn: Instruction) -> None:
        """Take the tokens that the instruction pops; a count may become negative."""
        for queue in self.popped_by(insn):
            setattr(self, queue, getattr(self, queue) - 1)

    def push(self, insn: Instruction) -> None:
        """Add the tokens that the instruction pushes."""
        for queue in self.pushed_by(insn):
            setattr(self, queue, getattr(self, queue) + 1)

    def as_dict(self) -> dict[str, int]:
        return {"l2g": self.l2g, "g2l": self.g2l, "g2s": self.g2s, "s2g": self.s2g}
