"""Tops for test benches that drive pins: each a design that is emitted and built on its own.

Blocks that read or write memory come with their bus master, so that the bench is at an AXI port.
Shells of boards come whole, with stubs of the hard blocks, whose ports are then the bench's.
"""

from dataclasses import dataclass
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Module, ResetInserter, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from tests.support.pcie_top import PcieMemoryTop
from vta.boards.bitstream import design_of
from vta.boards.board import find_board
from vta.boards.toolchains.toolchain import TOP
from vta.config import MICROARCHITECTURE, VTAConfig
from vta.hw.bus.axi import channels
from vta.hw.bus.read_master import ReadMaster
from vta.hw.bus.write_master import WriteMaster
from vta.hw.compute.compute import Compute
from vta.hw.control.csr import ControlRegisters
from vta.hw.core import Core
from vta.hw.dma.load import LoadModule
from vta.hw.dma.rows import MemoryKind
from vta.hw.dma.store import StoreModule
from vta.hw.frontend.fetch import Fetch
from vta.hw.interfaces import AXISignature, ErrorLayout
from vta.isa import Isa, MemId
from vta.memmap import config_words

CFG = VTAConfig.preset("tiny")
ISA = Isa.of(CFG)
BUS = {"addr_bits": CFG.addr_bits, "data_bits": CFG.bus_bits}
READERS = 3
"""Clients of the read master on its own."""


class OnBus(wiring.Component):
    """A block behind the bus master that serves it in the core.

    Attributes
    ----------
    m_axi_* : out
        The channels of the master.
    restart : in
        Resets the block, stops the master, and resets it too when nothing of it is on the bus, as
        the end of a run does. To be held until ``bus_idle``.
    bus_idle, bus_error : out
        Of the master.
    All members of the block but its port to the master are passed through.
    """

    def __init__(self, block: wiring.Component, port: str) -> None:
        self.block, self.port = block, port
        self.reads = port == "read"
        self.prefixes = ("ar", "r") if self.reads else ("aw", "w", "b")
        self.passed = {
            name: member for name, member in block.signature.members.items() if name != port
        }
        axi = channels(AXISignature(**BUS), *self.prefixes)
        super().__init__({
            **self.passed,
            **{f"m_axi_{name}": member for name, member in axi.items()},
            "restart": In(1), "bus_idle": Out(1), "bus_error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.block = ResetInserter(self.restart)(self.block)
        master = ReadMaster(clients=1, **BUS) if self.reads else WriteMaster(**BUS)
        m.submodules.master = ResetInserter(self.restart & self.bus_idle)(master)
        connect(m, getattr(self.block, self.port), master.client[0] if self.reads else master.port)
        for name, member in self.passed.items():
            mine, inner = getattr(self, name), getattr(self.block, name)
            if member.is_signature:
                connect(m, flipped(mine), inner)
            else:
                m.d.comb += mine.eq(inner) if member.flow is Out else inner.eq(mine)
        for name, member in channels(AXISignature(**BUS), *self.prefixes).items():
            mine, inner = getattr(self, f"m_axi_{name}"), getattr(master, name)
            m.d.comb += mine.eq(inner) if member.flow is Out else inner.eq(mine)
        m.d.comb += [
            master.abort.eq(self.restart),
            self.bus_idle.eq(master.idle),
            self.bus_error.eq(master.error),
        ]
        return m


TOPS = {
    "core": lambda: Core(CFG),
    "csr": lambda: ControlRegisters(config_words(CFG)),
    "read_master": lambda: ReadMaster(clients=READERS, **BUS),
    "write_master": lambda: WriteMaster(**BUS),
    "fetch": lambda: OnBus(Fetch(ISA, **BUS), "read"),
    "load": lambda: OnBus(
        LoadModule(ISA, [MemoryKind.of(CFG, memory) for memory in (MemId.INP, MemId.WGT)], **BUS),
        "read",
    ),
    "compute": lambda: OnBus(Compute(CFG), "read"),
    "pcie_memory": PcieMemoryTop,
    "store": lambda: OnBus(StoreModule(ISA, [MemoryKind.of(CFG, MemId.OUT)], **BUS), "write"),
}
"""The designs by name, which is also the name of the Verilog module."""


SMALLEST = {
    key.lower(): getattr(VTAConfig.preset("tiny_small"), key.lower()) for key in MICROARCHITECTURE
}
"""The machine in a shell has the shortest queues: the bench is at the pins of the shell, and builds
take less."""
BENCH = ("bench_master", "bench_slave")
SHELLS = {
    "cyclonev": (
        "de10_nano", "cyclonev_stubs.v", (*BENCH, "altera_pll", "cyclonev_hps_interface_*"), TOP,
    ),
    "pcie": ("as02mc04", "pcie_stubs.v", ("bench",), "bench"),
    "zynq": ("pynq_z1", "zynq_stubs.v", (*BENCH, "bench", "PS7"), "bench"),
    "ultrascale": ("zcu104", "zynq_stubs.v", (*BENCH, "bench", "PS8"), "bench"),
}  # fmt: skip
"""By name: the board, the file of stubs beside this one, which of those the bench sees, and the
module that is simulated."""


@dataclass(frozen=True)
class Source:
    """A top for a bench: Verilog ``text``, and the modules with those of their variables (``*``:
    all) that the bench sees."""

    text: str
    visible: tuple[tuple[str, str], ...]


def toplevel(name: str) -> str:
    """The Verilog module of a top."""
    return SHELLS[name][-1] if name in SHELLS else name


def emit(name: str) -> Source:
    """A top. Its pins are named by the paths of its members, joined by ``_``."""
    if name in SHELLS:
        return _emit_shell(*SHELLS[name][:-1])
    top = TOPS[name]()
    ports = {
        "_".join(map(str, path)): (Value.cast(value), None)
        for path, _, value in top.signature.flatten(top)
    }
    text = verilog.convert(top, name=name, ports=ports, emit_src=False, strip_internal_attrs=True)
    clock = () if isinstance(top, PcieMemoryTop) else ("clk", "rst")  # among its ports
    return Source(text, tuple((name, pin) for pin in (*clock, *ports)))


def _emit_shell(board: str, stubs: str, seen: tuple[str, ...]) -> Source:
    found = find_board(board)
    cfg = CFG.replace(log_bus_width=found.memory.bits.bit_length() - 1, **SMALLEST)
    design = design_of(found, cfg)
    others = [text for name, text in design.files.items() if name.endswith(".v")]
    beside = Path(__file__).with_name(stubs).read_text(encoding="utf-8")
    pins = [(TOP, pin) for pin in design.ports] + [(stub, "*") for stub in seen]
    return Source("\n".join([*others, beside]), tuple(pins))
