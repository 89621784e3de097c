"""The whole design of a Zynq board, with stubs of the processing system and of the I/O cells: the
bench is the processor behind the port to the registers, and the memory behind the memory port."""

import random

import cocotb
from cocotbext.axi import AxiBurstType, AxiBus, AxiMaster, AxiResp

from tests.support import cocotb_shell as shell
from tests.support.cocotb_bus import Dram
from tests.support.cocotb_driver import compiled_programs
from tests.support.cocotb_machine import Sample
from tests.support.cocotb_shell import ShellBench
from vta import memmap

WORD = 2
"""AxSIZE of a processor's access to a register."""

FACTS = {
    32: (0x43C0_0000, 3, 0b000),  # Zynq-7000: M_AXI_GP0, S_AXI_HP0 of 8 bytes, secure
    40: (0xA000_0000, 4, 0b010),  # UltraScale+: M_AXI_HPM0_FPD, S_AXI_HP0_FPD of 16, non-secure
}
"""Address of the registers, AxSIZE and AxPROT at the memory port, by the address bits of the port
to the registers."""


class Processor:
    """Accesses of one register, as wide as a register, whatever the width of the port."""

    def __init__(self, axi: AxiMaster, base: int) -> None:
        self.axi, self.base = axi, base

    async def read_dword(self, offset: int) -> int:
        answer = await self.axi.read(self.base + offset, 4, size=WORD)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def write_dword(self, offset: int, value: int) -> None:
        content = value.to_bytes(4, "little")
        answer = await self.axi.write(self.base + offset, content, size=WORD)
        assert answer.resp == AxiResp.OKAY


class Board(ShellBench):
    """The board: the processing system's ports are the host's and the memory's."""

    def __init__(self, dut, dram) -> None:
        self.ps = dut.shell.ps
        super().__init__(dut, dut.clk, self.ps.memory, dram)
        self.axi = AxiMaster(AxiBus.from_entity(self.ps.host), self.clk, max_burst_len=16)
        self.base, self.size, self.prot = FACTS[len(self.ps.host.araddr)]
        self.host = Processor(self.axi, self.base)

    def check_burst(self, field) -> None:
        assert field("len") < 16 and field("size") == self.size and field("burst") == 1
        assert field("cache") == 0b0011 and field("prot") == self.prot and field("id") < 3
        assert field("addr") % 4096 + (field("len") + 1 << self.size) <= 4096

    async def power_up(self) -> None:
        self.dut.reset_n.value = 0
        await self.cycles(5)
        self.dut.reset_n.value = 1
        await self.cycles(5)

    @property
    def interrupt(self) -> bool:
        return bool(int(self.ps.irq.value))


async def prepared(dut, probability=0.0):
    sample = Sample()
    return await shell.prepared(Board, dut, sample, probability), sample


@cocotb.test()
async def program(dut):
    """A program through both ports; then once more with the memory stalling."""
    board, sample = await prepared(dut)
    assert await board.read("ID") == memmap.IDENTITY
    for probability in (0.0, 0.5):
        board.use(sample.dram())
        board.stall(probability, "program")
        await sample.launch(board)
        await board.finished()
        assert int(dut.led.value) >> 1 == 1
        await sample.check(board)
        await board.write("STATUS", memmap.STATUS_DONE)
        assert not board.interrupt and int(dut.led.value) >> 1 == 0


@cocotb.test()
async def from_the_compiler_through_the_driver(dut):
    """Programs that the compiler made, run by the driver."""
    nbytes = 1 << 18
    board = Board(dut, Dram(all=(nbytes, bytes(nbytes))))
    await board.power_up()
    board.stall(0.2, "driver")
    await compiled_programs(board, nbytes, nbytes)


@cocotb.test()
async def registers(dut):
    """Bursts, single bytes, and what is beyond the registers' page."""
    board, _ = await prepared(dut)
    count, addr = (memmap.register(name).offset for name in ("INSN_COUNT", "INSN_ADDR"))
    base, axi = board.base, board.axi
    assert addr == count + 4
    answer = await axi.write(base + count, bytes(range(1, 13)), size=WORD)
    assert answer.resp == AxiResp.OKAY
    answer = await axi.read(base + count, 12, size=WORD)
    assert answer.resp == AxiResp.OKAY and answer.data == bytes(range(1, 13))
    await axi.write(base + addr + 1, b"\xaa\xbb", size=0)
    assert await board.host.read_dword(addr) == 0x08BB_AA05
    for outside in (base - 4, base + 0x1000, 0, 0x7FFF_FFFC):
        assert (await axi.read(outside, 4, size=WORD)).resp == AxiResp.DECERR
        assert (await axi.write(outside, b"wxyz", size=WORD)).resp == AxiResp.DECERR
    answer = await axi.read(base + count, 8, size=WORD, burst=AxiBurstType.FIXED)
    assert answer.resp == AxiResp.SLVERR
    if len(board.ps.host.rdata) > 32:
        assert (await axi.read(base + count, 8, size=WORD + 1)).resp == AxiResp.SLVERR
    assert await board.read("ID") == memmap.IDENTITY


@cocotb.test()
async def memory_refuses(dut):
    """An address that the port refuses ends the run with an error; the next one is as ever."""
    board, sample = await prepared(dut, 0.2)
    await shell.check_refusal(board, sample)


@cocotb.test()
async def resets(dut):
    """The processing system resets the logic between runs, at once and without a clock edge:
    nothing is left of them."""
    board, sample = await prepared(dut, 0.3)
    rng = random.Random(1)
    for _ in range(4):
        board.use(sample.dram())
        await sample.launch(board)
        await board.finished()
        await board.cycles(rng.randrange(100))
        assert board.interrupt
        board.dut.reset_n.value = 0
        await board.cycles(3)
        assert not board.interrupt
        board.dut.reset_n.value = 1
        await board.cycles(5)
        assert await board.read("STATUS") == 0
        assert await board.read("INSN_COUNT") == 0


@cocotb.test()
async def tied(dut):
    """What is not used of the processing system is told so."""
    board, _ = await prepared(dut)
    if hasattr(board.ps, "FPGAIDLEN"):
        assert int(board.ps.FPGAIDLEN.value) == 1
        assert not int(board.ps.SAXIHP0RDISSUECAP1EN.value)
        assert not int(board.ps.SAXIHP0WRISSUECAP1EN.value)
