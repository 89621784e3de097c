"""Programs for a simulated board, with their results by NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import vta
from tests.support.uart_board import SimulatedBoard
from tests.support.workloads import matmul, schedule_matmul, schedule_vadd, vadd
from vta.boards.board import find_board
from vta.compiler.target import Target
from vta.environment import Environment
from vta.errors import DramRangeError
from vta.isa import Finish, Isa, Load, MemId
from vta.runtime import array, empty

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.run_result import RunResult
    from vta.runtime.drivers.machine import MappedDevice

__all__ = ["leave_the_memory", "matrix_product", "own_machine"]


def matrix_product(
    device: MappedDevice, cfg: VTAConfig, o: int, n: int, m: int, block: tuple[int, int]
) -> RunResult:
    """``clip(data · weightᵀ >> 8)`` of random tiles, on the device and by NumPy."""
    ops = matmul(o, n, m, 1, cfg.block_in)
    with Environment(cfg.replace(target="sim")):
        schedule = schedule_matmul(ops, Target.from_config(cfg), *block)
        module = vta.build(schedule, ops.args)
    rng = np.random.default_rng(4)
    data = rng.integers(-128, 128, (o, n, 1, cfg.block_in), np.int8)
    weight = rng.integers(-128, 128, (m, n, cfg.block_out, cfg.block_in), np.int8)
    result = empty((o, m, 1, cfg.block_out), "int8", device)
    ran = module(array(data, device), array(weight, device), result)
    product = np.einsum("onbi,mnci->ombc", data.astype(np.int32), weight.astype(np.int32))
    np.testing.assert_array_equal(result.numpy(), np.clip(product >> 8, 0, 127).astype(np.int8))
    return ran


def leave_the_memory(device: MappedDevice, cfg: VTAConfig, end: int) -> None:
    """A program that reads two beats from ``end`` on, the first address behind the memory: the
    memory answers DECERR and the machine reports that address."""
    elements = 2 * cfg.bus_bytes // cfg.inp_elem_bytes
    load = Load(
        memory=MemId.INP, dram_base=end // cfg.inp_elem_bytes, y_size=1, x_size=elements,
        x_stride=elements,
    )  # fmt: skip
    stream = Isa.of(cfg).encode_all([load, Finish()])
    addr = device.alloc(len(stream))
    device.write(addr, stream)
    with pytest.raises(DramRangeError, match=f"0x{end:x}"):
        device.run(addr, 2)


def own_machine(name: str) -> None:
    """The vector sum of the tutorial, and a matrix product that uses all of a block, on the machine
    that the board of that name gets."""
    board = SimulatedBoard(name)
    cfg = board.cfg
    assert cfg == find_board(name).config
    board.run(5000)
    device = board.device()
    shape = (1, 64, 1, cfg.block_out)
    with Environment(cfg.replace(target="sim")):
        ops = vadd(64, 1, cfg.block_out)
        module = vta.build(schedule_vadd(ops), ops.args)
    a, b = np.random.default_rng(6).integers(0, 128, (2, *shape), dtype=np.int32)
    result = empty(shape, "int8", device)
    print(module(array(a, device), array(b, device), result))
    np.testing.assert_array_equal(result.numpy(), (a + b).astype(np.int8))
    ran = matrix_product(device, cfg, 4, 8, 8, (4, 4))
    print(ran)
    assert ran.counters.gemm_counter == 4 * 8 * 8
