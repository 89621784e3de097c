"""Every error that a user can meet is a :class:`VTAError`; its text says what was required, what
was got and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BitstreamError",
    "BusProtocolError",
    "CompileError",
    "ConfigError",
    "CopyNeededError",
    "DeadlockError",
    "DeviceError",
    "DramRangeError",
    "EncodingError",
    "ExecutionError",
    "IllegalInstructionError",
    "LoweringError",
    "MissingFinishError",
    "ModelError",
    "NetworkError",
    "NotProvidedError",
    "OperatorError",
    "ProgramError",
    "RemoteError",
    "ScheduleError",
    "SramRangeError",
    "TensorError",
    "TensorTypeError",
    "TimeoutError",
    "ToolError",
    "TuningError",
    "VTAError",
]


class VTAError(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(VTAError):
    """A configuration that cannot be: an unknown key, a value outside its range, fields that do
    not fit."""


class EncodingError(VTAError):
    """A value that does not fit its instruction or micro-op field."""


class ProgramError(VTAError):
    """A saved program that is truncated, foreign, newer, or made for another configuration."""


class NetworkError(VTAError):
    """A network file that is truncated, foreign, newer or inconsistent, or inputs that do not fit a
    network."""


class ToolError(VTAError):
    """A program outside this package (compiler, synthesis tool) is missing or failed."""


class TuningError(VTAError):
    """A search that cannot go on: a log that is none, a space without a point, no workers, a wrong
    result."""


class NotProvidedError(VTAError, ImportError):
    """A name of TVM's or the original VTA's that has no counterpart here; the text says what to use
    instead. Also an :class:`ImportError`, so that ``from vta.compat import relay`` shows the
    text."""


# ---- compiler -------------------------------------------------------------------------------


class CompileError(VTAError):
    """Base of the errors that the compiler raises on a user's program."""


class TensorError(CompileError):
    """A tensor expression that is malformed: shapes, dtypes, number of indices."""


class TensorTypeError(TensorError, TypeError):
    """An operation that expressions do not have, or one that needs the value of an expression
    (``bool``, ``int``, NumPy functions); also a :class:`TypeError`, as Python's protocols
    expect."""


class ModelError(CompileError):
    """A model file that cannot be read, or a network that this compiler does not support: names the
    node, what was found and what is supported."""


class OperatorError(CompileError):
    """An operator of the library with a wrong size or range, or on a machine that is too small."""


class ScheduleError(CompileError):
    """A schedule primitive that does not apply where it was asked for."""


class LoweringError(CompileError):
    """A scheduled program that has no counterpart on the machine: names the stage, the axis and
    the obstacle."""


# ---- devices --------------------------------------------------------------------------------


class DeviceError(VTAError):
    """A device refused a request: no memory, a wrong address, a wrong configuration, a bus
    error."""


class CopyNeededError(DeviceError, BufferError, ValueError):
    """A view without a copy was asked for of memory that the host cannot reach. Also a
    :class:`ValueError` and a :class:`BufferError`, as the protocols of NumPy and DLPack expect."""


class BitstreamError(DeviceError):
    """A bitstream file that is damaged, foreign, newer, or for another board or configuration."""


class RemoteError(DeviceError):
    """A session over a network: no connection, a lost one, a wrong token, a limit of the server, or
    a message that is none."""


class BusProtocolError(DeviceError):
    """The simulated hardware broke a rule of its bus: a fault of the RTL, not of the program."""


class ExecutionError(DeviceError):
    """An instruction stream could not be executed.

    Parameters
    ----------
    message : str
        What was required and what was got.
    index : int or None
        Number of the offending instruction in the stream, from 0.
    instruction : str or None
        Its disassembly.
    heads : mapping of str to str
        For each module (``load``, ``compute``, ``store``) what is at the head of its queue.
    tokens : mapping of str to int
        The four token counts (``l2g``, ``g2l``, ``g2s``, ``s2g``) when it stopped.
    """

    def __init__(
        self,
        message: str,
        *,
        index: int | None = None,
        instruction: str | None = None,
        heads: Mapping[str, str] | None = None,
        tokens: Mapping[str, int] | None = None,
    ) -> None:
        self.message = message
        self.index = index
        self.instruction = instruction
        self.heads = dict(heads or {})
        self.tokens = dict(tokens or {})
        lines = [message]
        if index is not None:
            lines.append(f"  at instruction {index}: {instruction}")
        lines += [f"  {module} module: {head}" for module, head in self.heads.items()]
        if self.tokens:
            lines.append("  tokens: " + ", ".join(f"{k}={v}" for k, v in self.tokens.items()))
        super().__init__("\n".join(lines))


class DeadlockError(ExecutionError):
    """Every module waits for a token that no instruction will push."""


class SramRangeError(ExecutionError):
    """An access beyond the end of an on-chip memory."""


class DramRangeError(ExecutionError):
    """An access outside the memory that the device was given."""


class IllegalInstructionError(ExecutionError):
    """An instruction that the machine does not have, or fields that it must not have."""


class MissingFinishError(ExecutionError):
    """The stream ended without FINISH, or went on after it."""


class TimeoutError(ExecutionError):
    """The run passed its cycle limit."""
