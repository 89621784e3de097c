"""From the control registers of a machine that stopped to an error that a person can use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vta.check.accesses import rows_of
from vta.check.order import find_order
from vta.config import INSN_BYTES
from vta.errors import (
    DeadlockError,
    DramRangeError,
    ExecutionError,
    IllegalInstructionError,
    MissingFinishError,
    SramRangeError,
)
from vta.isa import (
    Alu,
    Finish,
    Gemm,
    IllegalEncodingError,
    Instruction,
    Isa,
    Load,
    PipelineModule,
    Store,
    TokenCounts,
    disassemble,
)
from vta.memmap import MODULES_NO_DETAIL, ErrorCode, ModuleState, Source

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Diagnosis", "wide"]

_KINDS: dict[ErrorCode, tuple[type[ExecutionError], str]] = {
    ErrorCode.AXI_SLVERR: (ExecutionError, "the memory answered SLVERR"),
    ErrorCode.AXI_DECERR: (DramRangeError, "access outside the memory"),
    ErrorCode.ADDRESS: (DramRangeError, "access to an address that does not fit the bus"),
    ErrorCode.ILLEGAL_INSTRUCTION: (IllegalInstructionError, "the machine refused an instruction"),
    ErrorCode.SRAM_RANGE: (SramRangeError, "index beyond the end of an on-chip memory"),
    ErrorCode.DEADLOCK: (DeadlockError, "deadlock: no module can move"),
    ErrorCode.MISSING_FINISH: (MissingFinishError, "the stream ended without FINISH"),
    ErrorCode.AFTER_FINISH: (MissingFinishError, "a compute instruction follows FINISH"),
}
_MODULES = {
    Source.LOAD: PipelineModule.LOAD,
    Source.COMPUTE: PipelineModule.COMPUTE,
    Source.STORE: PipelineModule.STORE,
}
_STATES: dict[int, str] = {
    ModuleState.IDLE: "idle",
    ModuleState.WAITING: "waits for a token",
    ModuleState.RUNNING: "running",
}


def wide(registers: Mapping[str, int], low: str, high: str | None = None) -> int:
    """The 64-bit value in two registers; the second one is named like the first, with ``_HI``."""
    return registers[low] | registers[high or f"{low}_HI"] << 32


class Diagnosis:
    """What the registers say of a stream that a machine has begun.

    A machine with ERROR_DETAIL 0 reports the code and the module of an error. What follows from
    these and the stream is said of it, too.

    Parameters
    ----------
    isa : Isa
        The machine's instruction set.
    stream : bytes
        The encoded instructions.
    insn_addr : int
        Physical byte address of the stream.
    registers : mapping of str to int
        Every readable control register by name.
    """

    def __init__(
        self,
        isa: Isa,
        stream: bytes,
        insn_addr: int,
        registers: Mapping[str, int],
    ) -> None:
        self.isa = isa
        self.stream = stream
        self.insn_addr = insn_addr
        self.registers = registers
        self.tokens = TokenCounts(
            **{name: registers[f"TOKENS_{name.upper()}"] for name in TokenCounts().as_dict()}
        )

    @cached_property
    def insns(self) -> list[Instruction | None]:
        """The instructions of the stream; None where 16 bytes are none."""
        out: list[Instruction | None] = []
        for offset in range(0, len(self.stream), INSN_BYTES):
            try:
                out.append(self.isa.decode(self.stream[offset : offset + INSN_BYTES]))
            except IllegalEncodingError:
                out.append(None)
        return out

    def head(self, module: PipelineModule) -> int | None:
        """Number of the first instruction that the module has not finished, or None if there is
        none."""
        unfinished = self._unfinished(module)
        return unfinished[0] if unfinished else None

    def _unfinished(self, module: PipelineModule) -> list[int]:
        """Numbers of the module's instructions from the first that it has not finished on, or of
        all of them if that is not known."""
        mine = [n for n, insn in enumerate(self.insns) if insn and insn.module is module]
        return mine[self._finished[module] if self._finished else 0 :]

    @property
    def _code(self) -> int:
        """The ErrorCode in the register ERROR, perhaps one that does not exist."""
        return self.registers["ERROR"] & 0xFF

    @property
    def _detailed(self) -> bool:
        """Whether the machine reports addresses, and counts the instructions of its modules."""
        return not self.registers["MODULES"] & MODULES_NO_DETAIL

    @cached_property
    def _finished(self) -> dict[PipelineModule, int] | None:
        """How many instructions each module has finished; None if that is not known."""
        if self._detailed:
            return {module: self.registers[f"INSNS_{module.name}"] for module in PipelineModule}
        if self._code not in (ErrorCode.DEADLOCK, ErrorCode.MISSING_FINISH):
            return None
        # All that can run has run, whatever the timing.
        legal = [insn for insn in self.insns[: self._first_illegal()] if insn]
        done = [legal[n].module for n in find_order(legal).sequence]
        return {module: done.count(module) for module in PipelineModule}

    def _first_illegal(self) -> int | None:
        """Number of the first instruction that the machine refuses."""
        illegal = (n for n, i in enumerate(self.insns) if i is None or self.isa.why_illegal(i))
        return next(illegal, None)

    def reported_error(self) -> ExecutionError:
        """The error in the registers ERROR and ERROR_ADDR."""
        word, addr = self.registers["ERROR"], wide(self.registers, "ERROR_ADDR")
        code, source = self._code, word >> 8 & 0xFF
        if code not in _KINDS or source not in set(Source):
            return self.error(
                ExecutionError, f"an error that does not exist: ERROR reads 0x{word:x}"
            )
        kind, message = _KINDS[ErrorCode(code)]
        culprit = self._culprit if self._detailed else self._certain_culprit
        index = culprit(ErrorCode(code), Source(source), addr)
        asked = f"asked for by {Source(source).name.lower()}"
        match ErrorCode(code):
            case ErrorCode.AXI_SLVERR | ErrorCode.AXI_DECERR | ErrorCode.ADDRESS:
                message += f" at 0x{addr:x}, {asked}" if self._detailed else self._without(asked)
            case ErrorCode.SRAM_RANGE:
                message += f": {addr}" if self._detailed else self._without(asked)
            case ErrorCode.ILLEGAL_INSTRUCTION if index is not None:
                insn = self.insns[index]
                reason = self.isa.why_illegal(insn) if insn else "it is none of this machine's"
                message += f": {reason}" if reason else ""
        return self.error(kind, message, index)

    def error(
        self, kind: type[ExecutionError], message: str, index: int | None = None
    ) -> ExecutionError:
        """An error with the state of the modules and the tokens; ``index`` is the instruction at
        fault."""
        heads = {module.name.lower(): self._describe_head(module) for module in PipelineModule}
        if self.registers["MODULES"] >> 8 & 1:
            heads["fetch"] = "busy"
        text = None if index is None else self._text(index)
        return kind(
            message, index=index, instruction=text, heads=heads, tokens=self.tokens.as_dict()
        )

    def _without(self, asked: str) -> str:
        """The part of a message that has the address, of a machine that does not report it."""
        return f", {asked}; this machine does not report where (ERROR_DETAIL 0)"

    def _certain_culprit(self, code: ErrorCode, source: Source, addr: int) -> int | None:
        """Number of the instruction at fault, as far as the stream tells."""
        del addr
        if code is ErrorCode.ILLEGAL_INSTRUCTION:
            return self._first_illegal()
        if code is ErrorCode.DEADLOCK:
            return self._first_head()
        if source not in _MODULES:
            return None
        mine = self._unfinished(_MODULES[source])
        if code is ErrorCode.AFTER_FINISH:
            finishes = [n for n in mine if isinstance(self.insns[n], Finish)]
            return next((n for n in mine if n > finishes[0]), None) if finishes else None
        faulty = {
            ErrorCode.SRAM_RANGE: self._leaves_sram,
            ErrorCode.ADDRESS: self._leaves_address_space,
        }.get(code)
        if faulty is None:
            return None
        transfers = ((n, insn) for n in mine if isinstance(insn := self.insns[n], Load | Store))
        return next((n for n, insn in transfers if faulty(insn)), None)

    def _first_head(self) -> int | None:
        heads = (self.head(module) for module in PipelineModule)
        return next((head for head in heads if head is not None), None)

    def _culprit(self, code: ErrorCode, source: Source, addr: int) -> int | None:
        """Number of the instruction at fault, as far as the registers tell."""
        if code is ErrorCode.ILLEGAL_INSTRUCTION:
            index = (addr - self.insn_addr) // INSN_BYTES
            return index if 0 <= index < len(self.insns) else None
        if code is ErrorCode.DEADLOCK:
            return self._first_head()
        if source not in _MODULES:
            return None
        # Several may be in flight in the compute module: a transfer that can be seen to have
        # failed, or a nest, whose micro-ops are not known here, or else the oldest.
        unfinished = self._unfinished(_MODULES[source])
        suspects = [n for n in unfinished if self._fails(self.insns[n], code, addr)]
        if not suspects and code is ErrorCode.SRAM_RANGE:
            suspects = [n for n in unfinished if isinstance(self.insns[n], Gemm | Alu)]
        return next(iter(suspects or unfinished), None)

    def _fails(self, insn: Instruction | None, code: ErrorCode, addr: int) -> bool:
        """Whether a transfer can be seen to be the cause of an error."""
        if not isinstance(insn, Load | Store):
            return False
        if code is ErrorCode.SRAM_RANGE:
            return self._leaves_sram(insn)
        return self._transfers_at(insn, addr)

    def _leaves_sram(self, insn: Load | Store) -> bool:
        """Whether a transfer goes beyond the end of its on-chip memory."""
        rows = insn.y_pad_0 + insn.y_size + insn.y_pad_1
        columns = insn.x_pad_0 + insn.x_size + insn.x_pad_1
        return insn.x_size > 0 and insn.sram_base + rows * columns > self.isa.depth(insn.memory)

    def _leaves_address_space(self, insn: Load | Store) -> bool:
        """Whether a transfer goes beyond the addresses of the bus."""
        starts, size = rows_of(insn, self.isa.elem_bytes(insn.memory))
        return bool(insn.x_size) and bool((starts + size > 1 << self.isa.cfg.addr_bits).any())

    def _transfers_at(self, insn: Load | Store, addr: int) -> bool:
        """Whether a transfer needs the beat of the bus at an address."""
        if not insn.x_size:
            return False
        starts, size = rows_of(insn, self.isa.elem_bytes(insn.memory))
        beat = self.isa.cfg.bus_bytes
        return bool(((starts // beat * beat <= addr) & (addr < starts + size)).any())

    def _describe_head(self, module: PipelineModule) -> str:
        state = self.registers["MODULES"] >> 2 * (module - PipelineModule.LOAD) & 3
        if not self._finished:
            return _STATES.get(state, f"in state {state}")
        index = self.head(module)
        if index is None:
            return "idle"
        insn = self.insns[index]
        assert insn is not None
        text = f"at instruction {index}: {disassemble(insn)}"
        missing = [name for name in TokenCounts.popped_by(insn) if not getattr(self.tokens, name)]
        if state == ModuleState.RUNNING:
            text += "  [running]"
        elif missing:
            text += f"  [waits for {' and '.join(missing)}]"
        return text

    def _text(self, index: int) -> str:
        insn = self.insns[index]
        return "not an instruction of this machine" if insn is None else disassemble(insn)
