"""The reference model: what a stream of instructions means, executed with NumPy.

Three modules, each with a queue of instructions; four counters of tokens between them. Fetch fills
the queues in the order of the stream and waits when the one it needs is full. A module starts the
instruction at the head of its queue when all the tokens that it pops are there. What an instruction
does is in :mod:`vta.sim.reference.datapath`; the contract is docs/hardware/machine.md.
"""

from __future__ import annotations

import random
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from vta.config import INSN_BYTES, INSN_QUEUE_DEPTH
from vta.errors import (
    DeadlockError,
    DeviceError,
    ExecutionError,
    IllegalInstructionError,
    MissingFinishError,
)
from vta.isa import (
    Finish,
    IllegalEncodingError,
    Instruction,
    Isa,
    PipelineModule,
    TokenCounts,
    disassemble,
)
from vta.run_result import Counters, RunResult
from vta.sim.reference.datapath import Datapath

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vta.config import VTAConfig
    from vta.sim.memory import Memory

__all__ = ["ReferenceModel"]


class ReferenceModel:
    """One machine. Its on-chip memories keep their contents between runs, and are zero at first.

    Parameters
    ----------
    cfg : VTAConfig
        The machine.
    seed : int or None
        None: the first of fetch, load, compute and store that can take a step takes it. A number:
        which one does is drawn at random. A program whose tokens order all that must be ordered
        gives the same result either way.
    """

    def __init__(self, cfg: VTAConfig, *, seed: int | None = None) -> None:
        self.cfg = cfg
        self._random = None if seed is None else random.Random(seed)
        self.reset()

    def reset(self) -> None:
        """Set all on-chip memories to zero, as after power-up."""
        self.datapath = Datapath(self.cfg)

    def run(self, stream: bytes | Sequence[Instruction], memory: Memory) -> RunResult:
        """Execute a stream from the first instruction until FINISH and everything else is done.

        Parameters
        ----------
        stream : bytes or sequence of Instruction
            Encoded, or typed (encoded first, so that every field is known to fit).
        memory : Memory
            Read and written in place. After an error its contents are not defined.

        Raises
        ------
        ExecutionError
            A child that says what is wrong: IllegalInstructionError, SramRangeError,
            DramRangeError, DeadlockError, MissingFinishError. It names the instruction and shows
            modules and tokens.
        EncodingError
            If a field of a typed instruction does not fit.
        DeviceError
            If the stream is cut in the middle of an instruction, or the memory is beyond the reach
            of the address bus.
        """
        if not isinstance(stream, bytes):
            stream = Isa.of(self.cfg).encode_all(stream)
        if len(stream) % INSN_BYTES:
            raise DeviceError(
                f"an instruction stream is a multiple of {INSN_BYTES} bytes; got {len(stream)}"
            )
        if memory.end > 1 << self.cfg.addr_bits:
            raise DeviceError(
                f"the memory ends at 0x{memory.end:x}; "
                f"the machine's addresses have {self.cfg.addr_bits} bits"
            )
        return _Run(self.datapath, stream, memory, self._random).to_the_end()


class _Run:
    """The state of one run."""

    def __init__(
        self, datapath: Datapath, stream: bytes, memory: Memory, order: random.Random | None
    ) -> None:
        self.datapath = datapath
        self.isa = datapath.isa
        self.stream = stream
        self.memory = memory
        self.order = order
        self.counters = Counters()
        self.tokens = TokenCounts()
        self.queues: dict[PipelineModule, deque[tuple[int, Instruction]]] = {
            m: deque() for m in PipelineModule
        }
        self.fetched: tuple[int, Instruction] | None = None  # not yet in its queue
        self.fetch_count = 0
        self.finish_index: int | None = None  # of the FINISH, once it has been fetched

    def to_the_end(self) -> RunResult:
        """Let fetch and the modules take steps until none can."""
        steps: list[Callable[[], bool]] = [self._fetch]
        steps += [partial(self._execute, module) for module in PipelineModule]
        while any(step() for step in steps):
            if self.order is not None:
                self.order.shuffle(steps)
        self._check_end()
        return RunResult(self.counters, tokens=self.tokens.as_dict())

    def _fetch(self) -> bool:
        """Bring the next instruction into its module's queue; False if there is none or no room."""
        if self.fetched is None:
            index = self.fetch_count
            word = self.stream[index * INSN_BYTES : (index + 1) * INSN_BYTES]
            if not word:
                return False
            self.fetched = index, self._decode(index, word)
            self.fetch_count += 1
        queue = self.queues[self.fetched[1].module]
        if len(queue) == INSN_QUEUE_DEPTH:
            return False
        queue.append(self.fetched)
        self.fetched = None
        return True

    def _decode(self, index: int, word: bytes) -> Instruction:
        try:
            insn = self.isa.decode(word)
        except IllegalEncodingError as error:
            text = f"0x{int.from_bytes(word, 'little'):032x}"
            raise self._error(IllegalInstructionError, str(error), index, text) from None
        reason = self.isa.why_illegal(insn)
        if reason is not None:
            raise self._error(IllegalInstructionError, reason, index, disassemble(insn))
        if insn.module is PipelineModule.COMPUTE:
            if self.finish_index is not None:
                message = f"FINISH at {self.finish_index} is not the last of the compute module"
                raise self._error(MissingFinishError, message, index, disassemble(insn))
            if isinstance(insn, Finish):
                self.finish_index = index
        return insn

    def _execute(self, module: PipelineModule) -> bool:
        """Do the instruction at the head of a queue; False if there is none or it must wait."""
        queue = self.queues[module]
        if not queue:
            return False
        index, insn = queue[0]
        if self._missing_tokens(insn):
            return False
        try:
            self.datapath.execute(insn, self.memory, self.counters)
        except ExecutionError as error:
            raise self._error(type(error), error.message, index, disassemble(insn)) from None
        self.tokens.pop(insn)
        self.tokens.push(insn)
        queue.popleft()
        return True

    def _missing_tokens(self, insn: Instruction) -> list[str]:
        """The queues that the instruction pops and that hold no token."""
        return [name for name in TokenCounts.popped_by(insn) if not getattr(self.tokens, name)]

    def _check_end(self) -> None:
        """Nothing can move any more: is the run done?"""
        for module in PipelineModule:
            if self.queues[module]:
                index, insn = self.queues[module][0]
                missing = " and ".join(self._missing_tokens(insn))
                message = (
                    f"deadlock: the {module.name.lower()} module waits for a token in {missing}"
                )
                raise self._error(DeadlockError, message, index, disassemble(insn))
        if self.finish_index is None:
            message = f"the stream of {self.fetch_count} instructions ended without FINISH"
            raise self._error(MissingFinishError, message, None, None)

    def _error(
        self, kind: type[ExecutionError], message: str, index: int | None, text: str | None
    ) -> ExecutionError:
        heads = {}
        for module, queue in self.queues.items():
            if queue:
                number, insn = queue[0]
                state = f"at instruction {number}: {disassemble(insn)}"
                if missing := self._missing_tokens(insn):
                    state += f"  [waits for {' and '.join(missing)}]"
            else:
                state = "idle"
            heads[module.name.lower()] = state
        return kind(
            message, index=index, instruction=text, heads=heads, tokens=self.tokens.as_dict()
        )
