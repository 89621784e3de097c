"""The driver inside a cocotb test bench: its registers and its memory are the bench's machine.

The driver's calls block, the simulator's do not: cocotb runs the former in a thread of their
own, and every access goes back to the simulator. Time is that of the simulation.
"""

import numpy as np
from cocotb.simtime import get_sim_time
from cocotb.task import bridge, resume

import vta
from tests.support.cocotb_machine import CYCLE_NS, Machine
from tests.support.small_vadd import TINY, vadd_arrays, vadd_module
from tests.support.workloads import matmul, schedule_matmul
from vta.compiler.target import Target
from vta.environment import Environment
from vta.runtime import array, empty
from vta.runtime.drivers.machine import MappedDevice

__all__ = ["compiled_programs"]


class _Registers:
    """Of the machine (:class:`vta.runtime.drivers.ports.Registers`)."""

    def __init__(self, machine: Machine) -> None:
        self.read = resume(machine.host.read_dword)
        self.write = resume(machine.host.write_dword)

    def close(self) -> None:
        pass


class _Memory:
    """The machine's memory (:class:`vta.runtime.drivers.ports.DeviceMemory`), from ``base`` on;
    there are no caches."""

    coherent = True

    def __init__(self, machine: Machine, base: int, nbytes: int) -> None:
        self.base, self.nbytes, self._dram = base, nbytes, machine.dram

    def read(self, addr: int, nbytes: int) -> bytes:
        return self._dram[addr : addr + nbytes]

    def write(self, addr: int, data: bytes) -> None:
        self._dram[addr] = data

    def flush(self, addr: int, nbytes: int) -> None:
        pass

    def invalidate(self, addr: int, nbytes: int) -> None:
        raise AssertionError("coherent memory must not be invalidated")

    def close(self) -> None:
        pass


def _programs(machine: Machine, base: int, nbytes: int) -> None:
    wait = resume(machine.cycles)
    device = MappedDevice(
        TINY, _Registers(machine), _Memory(machine, base, nbytes),
        clock=lambda: get_sim_time("sec"),
        pause=lambda seconds: wait(max(1, round(seconds * 1e9 / CYCLE_NS))),
    )  # fmt: skip
    arrays, expected = vadd_arrays(device)
    vadd_module()(*arrays)
    np.testing.assert_array_equal(arrays[2].numpy(), expected)

    with Environment(TINY):
        ops = matmul(o=1, n=4, m=4, batch=1, block=4)
        module = vta.build(schedule_matmul(ops, Target.from_config(TINY), 2, 2), ops.args)
    rng = np.random.default_rng(3)
    data = rng.integers(-128, 128, (1, 4, 1, 4), np.int8)
    weight = rng.integers(-128, 128, (4, 4, 4, 4), np.int8)
    result = empty((1, 4, 1, 4), "int8", device)
    module(array(data, device), array(weight, device), result)
    total = np.einsum("onbi,mnci->ombc", data.astype(int), weight.astype(int))
    np.testing.assert_array_equal(result.numpy(), np.clip(total >> 8, 0, 127))
    device.close()


async def compiled_programs(machine: Machine, base: int, nbytes: int) -> None:
    """Open the driver on a machine of the preset ``tiny``, with memory from ``base`` on, and run a
    vector addition and a matrix product that the compiler made; NumPy says what is right."""
    await bridge(_programs)(machine, base, nbytes)
