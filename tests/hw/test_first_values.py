"""Memories that are written start with zeros: the mapping to Cyclone V leaves first values out."""

import re

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib.memory import Memory

from vta.config import KEYS, MICROARCHITECTURE, VTAConfig
from vta.hw.core import Core

SMALL = VTAConfig.preset("tiny_small")
MACHINES = {
    "tiny_small": SMALL,
    "tiny": VTAConfig.preset("tiny"),
    "lowest keys": SMALL.replace(**{key.lower(): KEYS[key][0] for key in MICROARCHITECTURE}),
    "highest keys": SMALL.replace(
        extension=1, addr_bits=64, log_bus_width=9, **{
            key.lower(): KEYS[key][1] for key in MICROARCHITECTURE if key != "LOG_ALU_BEATS"
        }
    ),
}  # fmt: skip
LARGE = ("default", "ulx3s_85f")
_CELL = re.compile(r"^  cell \$(memwr|meminit)_v2 .*?^  end$", re.MULTILINE | re.DOTALL)


def written_memories(text):
    """The first value, in bits, of each memory with a write port, by module and name."""
    first, written = {}, set()
    for module in re.split(r"^module ", text, flags=re.MULTILINE)[1:]:
        for cell in _CELL.finditer(module):
            key = module.split("\n", 1)[0], re.search(r"MEMID \"(.*)\"", cell[0])[1]
            if cell[1] == "memwr":
                written.add(key)
            else:
                first[key] = re.search(r"connect \\DATA \d+'([01x-]*)$", cell[0], re.MULTILINE)[1]
    return {key: first.get(key, "") for key in written}


def with_values(core):
    ports = [value for _, _, value in core.signature.flatten(core)]
    found = written_memories(rtlil.convert(core, name="core", ports=ports, emit_src=False))
    assert len(found) >= 10 and any(found.values())
    return {key for key, bits in found.items() if set(bits) - {"0"}}


@pytest.mark.parametrize(
    "name", [*MACHINES, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]
)
def test_memories_start_with_zeros(name):
    cfg = MACHINES[name] if name in MACHINES else VTAConfig.preset(name)
    assert not with_values(Core(cfg))


class Other(Elaboratable):
    """As many memories; one of them with a value."""

    def __init__(self):
        self.at, self.out = Signal(2), Signal(10)

    def elaborate(self, platform):
        m = Module()
        for number in range(10):
            init = [0, number == 7]
            m.submodules[f"m{number}"] = memory = Memory(shape=1, depth=4, init=init)
            write, read = memory.write_port(), memory.read_port()
            m.d.comb += [write.addr.eq(self.at), write.en.eq(1), write.data.eq(self.at)]
            m.d.comb += [read.addr.eq(self.at), self.out[number].eq(read.data)]
        return m


def test_another_value_is_found():
    other = Other()
    text = rtlil.convert(other, name="other", ports=[other.at, other.out], emit_src=False)
    found = written_memories(text)
    assert len(found) == 10
    assert [key[-1][-2:] for key, bits in found.items() if "1" in bits] == ["m7"]
