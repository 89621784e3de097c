"""The core in a cocotb test bench: cocotbext-axi is its memory and its host."""

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiSlave

from tests.support.cocotb_bus import Dram, say_which_error, stall, watch_master
from tests.support.cocotb_tops import CFG, ISA
from vta import memmap
from vta.isa import Alu, AluOpcode, Finish, Gemm, Load, MemId, Store, Uop

CYCLE_NS = 10


class Machine:
    """The core, a memory and a host.

    Parameters
    ----------
    dut
        cocotb's handle of the top ``core``.
    dram : Dram
        The memory; may be replaced between runs.
    """

    def __init__(self, dut, dram: Dram) -> None:
        self.dut = dut
        dut._log.setLevel("WARNING")  # cocotbext-axi tells of every transfer
        cocotb.start_soon(Clock(dut.clk, CYCLE_NS, "ns").start())
        self.slave = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        for side in (self.slave.read_if, self.slave.write_if):
            say_which_error(side)
        self.use(dram)

    def use(self, dram: Dram) -> None:
        """Put another memory in."""
        self.dram = dram
        self.slave.read_if.target = self.slave.write_if.target = dram

    def stall(self, probability: float, seed: str = "") -> None:
        """How often the memory stalls each of its five channels."""
        read, write = self.slave.read_if, self.slave.write_if
        stall(
            probability, f"{seed}.{probability}",
            read.ar_channel, read.r_channel,
            write.aw_channel, write.w_channel, write.b_channel,
        )  # fmt: skip

    def watch(self) -> None:
        """Fail the test when an offer on AR, AW or W changes before it is taken."""
        watch_master(self.dut, "m_axi_")

    async def cycles(self, count: int) -> None:
        await ClockCycles(self.dut.clk, count)

    async def power_up(self) -> None:
        """Five cycles with ``rst`` high."""
        self.dut.rst.value = 1
        await self.cycles(5)
        self.dut.rst.value = 0
        await self.cycles(1)

    # ---- registers --------------------------------------------------------------------------

    async def read(self, name: str) -> int:
        """A register; both halves of one of 64 bits."""
        value = await self.host.read_dword(memmap.register(name).offset)
        if any(register.name == f"{name}_HI" for register in memmap.REGISTERS):
            high = await self.host.read_dword(memmap.register(f"{name}_HI").offset)
            value |= high << 32
        return value

    async def write(self, name: str, value: int) -> None:
        await self.host.write_dword(memmap.register(name).offset, value)

    async def error(self) -> tuple[int, int, int]:
        """ERROR's code and source, and ERROR_ADDR."""
        word = await self.read("ERROR")
        return word & 0xFF, word >> 8, await self.read("ERROR_ADDR")

    # ---- runs -------------------------------------------------------------------------------

    async def launch(self, addr: int, count: int) -> None:
        await self.write("INSN_COUNT", count)
        await self.write("INSN_ADDR", addr & 0xFFFF_FFFF)
        await self.write("INSN_ADDR_HI", addr >> 32)
        await self.write("CONTROL", memmap.CONTROL_LAUNCH)

    async def finished(self, limit: int = 20_000) -> None:
        """Wait for the interrupt, at most ``limit`` cycles."""
        if not int(self.dut.irq.value):
            await with_timeout(RisingEdge(self.dut.irq), limit * CYCLE_NS, "ns")

    async def quiet(self, cycles: int = 100) -> None:
        """Nothing is on the memory port for so many cycles."""
        pins = [getattr(self.dut, f"m_axi_{name}valid") for name in ("ar", "r", "aw", "w", "b")]
        for _ in range(cycles):
            await self.cycles(1)
            assert not any(int(pin.value) for pin in pins)


class Sample:
    """A program that uses all modules: ``C = int8(A + B + X @ W.T)``, and the memory for it.

    Parameters
    ----------
    seed : int
        Of the operands, and of what lies in the rest of the memory.
    """

    TILES = 32
    """Half of the accumulator is for A, half for B."""
    BASE = 0
    """Where the memory begins."""
    A, B, C, UOPS, STREAM, X, W = range(0x1000, 0x8000, 0x1000)
    BYTES = 0x8000

    def __init__(self, seed: int = 7) -> None:
        rng = np.random.default_rng(seed)
        acc = (self.TILES, CFG.batch * CFG.block_out)
        a, b = rng.integers(-(2**31), 2**31, (2, *acc), np.int64)
        x = rng.integers(-128, 128, (self.TILES * CFG.batch, CFG.block_in), np.int64)
        w = rng.integers(-128, 128, (CFG.block_out, CFG.block_in), np.int64)
        self.expected = (a + b + (x @ w.T).reshape(acc)).astype(np.int8).tobytes()
        """What is at ``C`` after a run."""

        self.before = bytearray(rng.integers(0, 256, self.BYTES, np.uint8))
        """The memory from :attr:`BASE` on."""
        for addr, content in (
            (self.A, a.astype("<i4")), (self.B, b.astype("<i4")),
            (self.X, x.astype("<i1")), (self.W, w.astype("<i1")),
            (self.UOPS, ISA.encode_uops([Uop(), Uop(src=self.TILES)])),
        ):  # fmt: skip
            self._put(self.before, addr, content.tobytes())
        stream = ISA.encode_all(self._instructions())
        self._put(self.before, self.STREAM, stream)
        self.count = len(stream) // 16
        """Instructions of the stream."""
        self.counters = {
            "inp_load_nbytes": self.TILES * CFG.inp_elem_bytes,
            "wgt_load_nbytes": CFG.wgt_elem_bytes,
            "acc_load_nbytes": 2 * self.TILES * CFG.acc_elem_bytes,
            "uop_load_nbytes": 2 * 4,
            "out_store_nbytes": self.TILES * CFG.out_elem_bytes,
            "gemm_counter": self.TILES,
            "alu_counter": self.TILES,
        }

    def _instructions(self) -> list:
        tiles = self.TILES
        each = {"iter_in": tiles, "dst_factor_in": 1, "src_factor_in": 1}
        return [
            self._load(MemId.INP, self.X, 0, tiles),
            self._load(MemId.WGT, self.W, 0, 1, push_next=True),
            self._load(MemId.UOP, self.UOPS, 0, 2),
            self._load(MemId.ACC, self.A, 0, tiles),
            self._load(MemId.ACC, self.B, tiles, tiles),
            Gemm(uop_bgn=0, uop_end=1, pop_prev=True, **each),
            Alu(alu_opcode=AluOpcode.ADD, uop_bgn=1, uop_end=2, push_next=True, **each),
            Store(dram_base=self.C // CFG.out_elem_bytes, y_size=1, x_size=tiles, x_stride=tiles,
                  pop_prev=True, push_prev=True),
            Finish(pop_next=True),
        ]  # fmt: skip

    def _load(self, memory: MemId, addr: int, sram_base: int, count: int, **flags: bool) -> Load:
        return Load(
            memory=memory, dram_base=addr // ISA.elem_bytes(memory), sram_base=sram_base,
            y_size=1, x_size=count, x_stride=count, **flags,
        )  # fmt: skip

    def _put(self, image: bytearray, addr: int, content: bytes) -> None:
        image[addr - self.BASE : addr - self.BASE + len(content)] = content

    def dram(self) -> Dram:
        """A memory to run it on."""
        return Dram(all=(self.BASE, self.before))

    async def launch(self, machine: Machine) -> None:
        await machine.launch(self.STREAM, self.count)

    async def check(self, machine: Machine) -> None:
        """The run ended well: memory, registers."""
        after = bytearray(self.before)
        self._put(after, self.C, self.expected)
        assert machine.dram[self.BASE : self.BASE + self.BYTES] == bytes(after)
        assert await machine.read("STATUS") == memmap.STATUS_DONE
        assert await machine.error() == (0, 0, 0)
        for name, value in self.counters.items():
            assert await machine.read(name.upper()) == value, name
        for name in ("L2G", "G2L", "G2S", "S2G"):
            assert await machine.read(f"TOKENS_{name}") == 0, name
        for name, count in (("LOAD", 2), ("COMPUTE", 6), ("STORE", 1)):
            assert await machine.read(f"INSNS_{name}") == count, name

    def untouched(self, machine: Machine) -> None:
        """Whatever a run did, it wrote at C only."""
        begin, end = self.C - self.BASE, self.C - self.BASE + len(self.expected)
        after = machine.dram[self.BASE : self.BASE + self.BYTES]
        assert after[:begin] == bytes(self.before[:begin])
        assert after[end:] == bytes(self.before[end:])
