"""The operations of the ALU, one row for each.

A row is all that the instruction set says of an operation. Encoder, disassembly, legality (also
that of the hardware), coverage and random programs read it. Each level that computes has one table
``{operation: function}``: :mod:`vta.hw.compute.alu_lane` (RTL), :mod:`vta.sim.reference.alu`
(reference model), and the slow executor of the tests.
"""

from __future__ import annotations

import enum

__all__ = ["RUN_OPERATIONS", "AluOpcode"]


class AluOpcode(enum.IntEnum):
    """An operation: ``acc[dst] = op(x, y)`` on each lane, wrapping to 32 bits.

    ``x`` is ``acc[dst]``; ``y`` is the immediate or ``acc[src]``. An operation of one operand has
    no ``y``: its instruction carries ``use_imm`` = 1 and ``imm`` = 0. In an operation of three
    operands ``y`` is ``acc[src]`` and the immediate is the third one: ``use_imm`` = 0.

    Attributes
    ----------
    operands : int
        1: ``x``. 2: ``x`` and ``y``. 3: ``x``, ``y`` and ``imm``.
    meaning : str
        What is computed, in words.
    """

    operands: int
    meaning: str

    MIN = 0, 2, "the smaller of x and y"
    MAX = 1, 2, "the larger of x and y"
    ADD = 2, 2, "x + y"
    SHR = 3, 2, "x shifted right arithmetically by y; left by -y if y is negative"
    MUL = 4, 2, "x * y"
    REQUANTISE = 5, 3, "x scaled and rounded by the parameters y, clipped to the limits imm"

    def __new__(cls, code: int, operands: int, meaning: str) -> AluOpcode:
        member = int.__new__(cls, code)
        member._value_ = code
        member.operands = operands
        member.meaning = meaning
        return member

    @classmethod
    def of(cls, code: int) -> AluOpcode:
        """The operation with an opcode.

        Raises
        ------
        ValueError
            If there is none.
        """
        for operation in cls:
            if operation == code:
                return operation
        raise ValueError(f"{code} is not a valid AluOpcode")

    @property
    def is_unary(self) -> bool:
        """Whether the operation has no ``y``."""
        return self.operands == 1

    @property
    def is_ternary(self) -> bool:
        """Whether the immediate is an operand besides ``y``."""
        return self.operands == 3

    @property
    def y_sources(self) -> tuple[str, ...]:
        """What an instruction can take ``y`` from: ``imm``, ``acc``."""
        return {1: ("imm",), 2: ("imm", "acc"), 3: ("acc",)}[self.operands]


RUN_OPERATIONS = (AluOpcode.MIN, AluOpcode.MAX, AluOpcode.ADD)
"""The operations whose runs can start (:attr:`vta.isa.Alu.start`): of one value they give that
value."""
