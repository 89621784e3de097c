"""Running operators of the library on the reference model and comparing with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.support.compiled import check_orders, run_program
from vta.compiler.driver import compile_func
from vta.compiler.lower.lower import lower
from vta.compiler.ops import Operator
from vta.program import Program

__all__ = ["assert_equal", "program_of"]


def program_of(op: Operator) -> Program:
    """The program of the default schedule."""
    return compile_func(lower(op.schedule, op.args, op.name), op.cfg)


def assert_equal(op: Operator, arrays, expected: np.ndarray, machine: Any = None) -> None:
    """The reference and the program give ``expected``; the static checker finds nothing.

    Without ``machine`` the reference model runs it, with its modules in two orders.
    """
    np.testing.assert_array_equal(op.reference(*arrays), expected)
    program, inputs = program_of(op), op.pack(*arrays)
    (tiles,), _ = run_program(program, inputs, machine=machine)
    np.testing.assert_array_equal(op.unpack(tiles), expected)
    if machine is None:
        check_orders(program, inputs, [tiles], seeds=(1,))
