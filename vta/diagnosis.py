"""From the control registers of a machine that stopped to an error that a person can use."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from vta.check.accesses import rows_of
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
from vta.memmap import ErrorCode, ModuleState, Source

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


def wide(registers: Mapping[str, int], low: str, high: str | None = None) -> int:
    """The 64-bit value in two registers; the second one is named like the first, with ``_HI``."""
    return registers[low] | registers[high or f"{low}_HI"] << 32


class Diagnosis:
    """What the registers say of a stream that a machine has begun.

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
        """Numbers of the module's instructions from the first that it has not finished on."""
        mine = [n for n, insn in enumerate(self.insns) if insn and insn.module is module]
        return mine[self.registers[f"INSNS_{module.name}"] :]

    def reported_error(self) -> ExecutionError:
        """The error in the registers ERROR and ERROR_ADDR."""
        word, addr = self.registers["ERROR"], wide(self.registers, "ERROR_ADDR")
        code, source = word & 0xFF, word >> 8 & 0xFF
        if code not in _KINDS or source not in set(Source):
            return self.error(
                ExecutionError, f"an error that does not exist: ERROR reads 0x{word:x}"
            )
        kind, message = _KINDS[ErrorCode(code)]
        index = self._culprit(ErrorCode(code), Source(source), addr)
        match ErrorCode(code):
            case ErrorCode.AXI_SLVERR | ErrorCode.AXI_DECERR | ErrorCode.ADDRESS:
                message += f" at 0x{addr:x}, asked for by {Source(source).name.lower()}"
            case ErrorCode.SRAM_RANGE:
                message += f": {addr}"
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

    def _culprit(self, code: ErrorCode, source: Source, addr: int) -> int | None:
        """Number of the instruction at fault, as far as the registers tell."""
        if code is ErrorCode.ILLEGAL_INSTRUCTION:
            index = (addr - self.insn_addr) // INSN_BYTES
            return index if 0 <= index < len(self.insns) else None
        if code is ErrorCode.DEADLOCK:
            heads = (self.head(module) for module in PipelineModule)
            return next((head for head in heads if head is not None), None)
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
        return insn.sram_base + rows * columns > self.isa.depth(insn.memory)

    def _transfers_at(self, insn: Load | Store, addr: int) -> bool:
        """Whether a transfer needs the beat of the bus at an address."""
        if not insn.x_size:
            return False
        starts, size = rows_of(insn, self.isa.elem_bytes(insn.memory))
        beat = self.isa.cfg.bus_bytes
        return bool(((starts // beat * beat <= addr) & (addr < starts + size)).any())

    def _describe_head(self, module: PipelineModule) -> str:
        index = self.head(module)
        if index is None:
            return "idle"
        insn = self.insns[index]
        assert insn is not None
        text = f"at instruction {index}: {disassemble(insn)}"
        missing = [name for name in TokenCounts.popped_by(insn) if not getattr(self.tokens, name)]
        state = self.registers["MODULES"] >> 2 * (module - PipelineModule.LOAD) & 3
        if state == ModuleState.RUNNING:
            text += "  [running]"
        elif missing:
            text += f"  [waits for {' and '.join(missing)}]"
        return text

    def _text(self, index: int) -> str:
        insn = self.insns[index]
        return "not an instruction of this machine" if insn is None else disassemble(insn)
