"""The smallest program that shows a machine to be alive: two accumulator tiles go in and out."""

import numpy as np

from vta.config import VTAConfig
from vta.isa import Finish, Load, MemId, Store
from vta.run_result import Counters
from vta.sim.memory import Memory

CFG = VTAConfig.preset("tiny")
BASE = 0x4000
ACC, OUT = CFG.acc_elem_bytes, CFG.out_elem_bytes
ROUND = {"x_size": 2, "y_size": 1, "x_stride": 2}


def memory(size=0x1000):
    """A memory whose byte ``i`` is ``i`` modulo 251; no micro-op but the first word, which is 0."""
    data = (np.arange(size) % 251).astype(np.uint8)
    data[:4] = 0
    return Memory(BASE, data)


def load_acc(tile, **changes):
    """Two accumulator tiles from byte ``tile * ACC`` of the memory to entries 0 and 1."""
    return Load(memory=MemId.ACC, dram_base=BASE // ACC + tile, **ROUND | changes)


def store(tile, **changes):
    """Entries 0 and 1 to byte ``tile * OUT`` of the memory."""
    return Store(dram_base=BASE // OUT + tile, **ROUND | changes)


def low_bytes(image, tile):
    """What storing the two accumulator tiles at ``tile`` must give."""
    words = image[tile * ACC :][: 2 * ACC].view("<i4")
    return (words & 0xFF).astype(np.uint8)


GOOD = [
    load_acc(4, push_next=True),
    store(64, pop_prev=True, push_prev=True),
    Finish(pop_next=True),
]


def check_good(machine):
    """The machine does what it should."""
    mem = memory()
    expected = memory().data
    expected[64 * OUT :][: 2 * OUT] = low_bytes(expected, 4)
    result = machine.run(GOOD, mem)
    assert (mem.data == expected).all()
    assert result.counters == Counters(acc_load_nbytes=2 * ACC, out_store_nbytes=2 * OUT)
    assert result.tokens == {"l2g": 0, "g2l": 0, "g2s": 0, "s2g": 0}
    assert 20 < result.cycle_count < machine.bus.cycles
