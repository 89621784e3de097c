"""Run compiled programs on the reference model, with its modules taking turns in several orders."""

import numpy as np

from tests.support.checked import checked
from vta.program import Program
from vta.sim.memory import Memory
from vta.sim.reference.model import ReferenceModel

__all__ = ["check_orders", "run_program"]

BASE = 0x1000
PAGE = 4096
RUBBISH = 0xA5


def _pages(nbytes: int) -> int:
    return -(-nbytes // PAGE) * PAGE


def run_program(program: Program, inputs, *, seed=None, machine=None, check=True):
    """The outputs of a program and the result of its run.

    Parameters
    ----------
    program : Program
        Its own check and the static checker look at it first.
    inputs : sequence of ndarray
        One for each tensor that is only read, in order. Results start as rubbish.
    seed : int or None
        Of the order in which the model's modules take turns.
    machine : object or None
        What runs it instead of a new reference model.
    check : bool
        Whether the checkers look at it.
    """
    if check:
        checked(program)
    return _run(program, inputs, machine or ReferenceModel(program.cfg, seed=seed))


def _bytes_of(array: np.ndarray) -> np.ndarray:
    """The bytes of an array in DRAM; two values of int4 in each, the first in the low half."""
    if array.dtype.name != "int4":
        return np.frombuffer(array.tobytes(), np.uint8)
    nibbles = array.astype(np.int8).reshape(-1).view(np.uint8) & 15
    return nibbles[0::2] | nibbles[1::2] << 4


def _array_of(data: bytes, spec) -> np.ndarray:
    """The array of a tensor; of int4 its values as int8."""
    if spec.dtype != "int4":
        return np.frombuffer(data, spec.dtype).reshape(spec.shape)
    raw = np.frombuffer(data, np.uint8)
    nibbles = np.stack([raw & 15, raw >> 4], axis=-1).astype(np.int8)
    return ((nibbles ^ 8) - 8).reshape(spec.shape)


def _run(program, inputs, machine):
    given = iter(inputs)
    addresses, parts, at = [], [], BASE
    for spec in program.tensors:
        if spec.written:
            data = np.full(spec.nbytes, RUBBISH, np.uint8)
        else:
            array = next(given)
            assert array.shape == spec.shape and array.dtype == spec.dtype, spec
            data = _bytes_of(array)
        addresses.append(at)
        parts.append((at, data))
        at += _pages(data.size)
    uop_address = at
    parts.append((at, np.frombuffer(program.uops, np.uint8)))
    memory = Memory.zeros(BASE, at - BASE + _pages(len(program.uops) + 1), restricted=True)
    for address, data in parts:
        if data.size:
            memory.allow(address, data.size)
            memory.write(address, data.tobytes())
    stream = program.relocate(addresses, uop_address)
    result = machine.run(stream, memory)
    assert not any(result.tokens.values()), result.tokens
    outputs = [
        _array_of(memory.read(address, spec.nbytes), spec)
        for address, spec in zip(addresses, program.tensors)
        if spec.written
    ]
    return outputs, result


def check_orders(program: Program, inputs, expected, *, seeds=(None, 1, 2)):
    """Run a program several times, its modules in another order each; all must give ``expected``.

    Returns the counters.
    """
    checked(program)
    for seed in seeds:
        outputs, result = _run(program, inputs, ReferenceModel(program.cfg, seed=seed))
        assert len(outputs) == len(expected)
        for got, want in zip(outputs, expected):
            np.testing.assert_array_equal(got, want, err_msg=f"order {seed}")
    return result.counters
