"""The sum of two small vectors on the tiny machine: a program to run wherever one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import vta
from tests.support.workloads import schedule_vadd, vadd
from vta.config import VTAConfig
from vta.environment import Environment
from vta.runtime import CompiledModule, DeviceArray, array, empty

if TYPE_CHECKING:
    from vta.runtime.device import Device

__all__ = ["COUNTERS", "TINY", "vadd_arrays", "vadd_module"]

TINY = VTAConfig.preset("tiny")
SHAPE = (1, 8, 1, 4)
COUNTERS = {
    "inp_load_nbytes": 0,
    "wgt_load_nbytes": 0,
    "acc_load_nbytes": 2 * 8 * 16,
    "uop_load_nbytes": 4,
    "out_store_nbytes": 8 * 4,
    "gemm_counter": 0,
    "alu_counter": 8,
}
"""Of one run."""


def vadd_module() -> CompiledModule:
    """``vadd(A, B, C)``, C = int8(A + B)."""
    with Environment(TINY):
        ops = vadd(8, 1, 4)
        return vta.build(schedule_vadd(ops), ops.args, name="vadd")


def vadd_arrays(device: Device, seed: int = 5) -> tuple[list[DeviceArray], np.ndarray]:
    """The three arrays on the device, and what must be in the third after a run."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-(2**31), 2**31, (2, *SHAPE), dtype=np.int32)
    arrays = [array(a, device), array(b, device), empty(SHAPE, "int8", device)]
    return arrays, (a + b).astype(np.int8)
