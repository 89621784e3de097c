"""The whole design of a Cyclone V board, with stubs of the hard blocks: the bench is the processor
behind the lightweight bridge and the memory behind the FPGA-to-HPS bridge."""

import random

import cocotb
from cocotb.triggers import with_timeout
from cocotbext.axi import AxiBurstType, AxiBus, AxiMaster, AxiResp

from tests.support import cocotb_shell as shell
from tests.support.cocotb_bus import Dram
from tests.support.cocotb_driver import compiled_programs
from tests.support.cocotb_machine import Sample
from tests.support.cocotb_shell import ShellBench
from vta import memmap

WINDOW = 0x8000_0000
"""The coherent window: where the driver says the memory is."""


class InWindow(Sample):
    """The program, with its memory in the coherent window."""

    BASE = WINDOW
    A, B, C, UOPS, STREAM, X, W = range(WINDOW + 0x1000, WINDOW + 0x8000, 0x1000)


class Board(ShellBench):
    """The board: its bridges are the host's and the memory's."""

    def __init__(self, dut, dram) -> None:
        # The PLL of the bench lets the clock through. At the pin its edge is seen before the
        # registers move, inside it is not.
        port = dut.fpga2hps.memory
        super().__init__(dut, dut.clk50_0__io, port, dram, port.rst)
        host = AxiBus.from_entity(dut.light_weight.host)
        self.host = AxiMaster(host, self.clk, max_burst_len=16)

    def check_burst(self, field) -> None:
        assert field("len") < 16 and field("size") == 3 and field("burst") == 1
        assert field("id") < 3
        assert field("cache") & 0b10 and field("user") & 1, "not coherent"
        assert not field("prot") & 0b010, "not secure"
        assert field("addr") % 4096 + 8 * (field("len") + 1) <= 4096

    async def power_up(self) -> None:
        """The processor is out of reset first, then the PLL has its clock."""
        self.dut.clocks_resets.running.value = 0
        self.dut.pll.lock.value = 0
        self.port.rst.value = 1
        await self.cycles(5)
        self.port.rst.value = 0
        self.dut.clocks_resets.running.value = 1
        await self.cycles(5)
        self.dut.pll.lock.value = 1
        await self.cycles(5)

    async def processor_reset(self) -> None:
        """A warm reset of the processor: its bridges forget all, and the FPGA with them."""
        self.dut.clocks_resets.running.value = 0
        self.port.rst.value = 1
        await self.cycles(3)
        self.dut.clocks_resets.running.value = 1
        self.port.rst.value = 0
        await self.cycles(5)

    @property
    def interrupt(self) -> bool:
        asserted = int(self.dut.interrupts.irq.value)
        assert asserted in (0, 1), "another interrupt of the processor"
        return bool(asserted)


async def prepared(dut, probability=0.0):
    sample = InWindow()
    return await shell.prepared(Board, dut, sample, probability), sample


@cocotb.test()
async def program(dut):
    """A program through both bridges, its memory in the coherent window; then once more with the
    memory stalling."""
    board, sample = await prepared(dut)
    assert await board.read("ID") == memmap.IDENTITY
    for probability in (0.0, 0.5):
        board.use(sample.dram())
        board.stall(probability, "program")
        await sample.launch(board)
        await board.finished()
        await sample.check(board)
        await board.write("STATUS", memmap.STATUS_DONE)
        assert not board.interrupt


@cocotb.test()
async def past_the_caches(dut):
    """Addresses below the window reach the bridge as they are."""
    board, _ = await prepared(dut, 0.2)
    sample = Sample()
    board.use(sample.dram())
    await sample.launch(board)
    await board.finished()
    await sample.check(board)


@cocotb.test()
async def from_the_compiler_through_the_driver(dut):
    """Programs that the compiler made, run by the driver with its memory in the window."""
    nbytes = 1 << 18
    board = Board(dut, Dram(all=(WINDOW + nbytes, bytes(nbytes))))
    await board.power_up()
    board.stall(0.2, "driver")
    await compiled_programs(board, WINDOW + nbytes, nbytes)


@cocotb.test()
async def registers(dut):
    """Bursts, single bytes, and what is beyond the registers' page, at the lightweight bridge."""
    board, _ = await prepared(dut)
    count, addr = (memmap.register(name).offset for name in ("INSN_COUNT", "INSN_ADDR"))
    assert addr == count + 4
    await board.host.write(count, bytes(range(1, 13)))
    answer = await board.host.read(count, 12)
    assert answer.resp == AxiResp.OKAY and answer.data == bytes(range(1, 13))
    await board.host.write(addr + 1, b"\xaa\xbb")
    assert await board.host.read_dword(addr) == 0x08BB_AA05
    for offset in (0x1000, 0x10_0000, 0x1F_FFFC):
        answer = await board.host.read(offset, 4)
        assert answer.resp == AxiResp.DECERR
        answer = await board.host.write(offset, b"wxyz")
        assert answer.resp == AxiResp.DECERR
    answer = await board.host.read(count, 8, burst=AxiBurstType.FIXED)
    assert answer.resp == AxiResp.SLVERR
    assert await board.read("ID") == memmap.IDENTITY


@cocotb.test()
async def memory_refuses(dut):
    """An address that the bridge refuses ends the run with an error; the next one is as ever."""
    board, sample = await prepared(dut, 0.2)
    await shell.check_refusal(board, sample)


@cocotb.test()
async def resets(dut):
    """The processor is reset at many moments of a run: nothing is left of it."""
    board, sample = await prepared(dut, 0.3)
    rng = random.Random(1)
    for _ in range(8):
        board.use(sample.dram())
        await sample.launch(board)
        await board.cycles(rng.randrange(700))
        await board.processor_reset()
        assert not board.interrupt
        assert await board.read("STATUS") == 0
        sample.untouched(board)
        board.use(sample.dram())
        await sample.launch(board)
        await board.finished()
        await sample.check(board)


@cocotb.test()
async def held_in_reset(dut):
    """While the processor is in reset or the PLL has no lock nothing moves; what is asked then is
    answered afterwards."""
    board, _ = await prepared(dut)
    for signal in (dut.clocks_resets.running, dut.pll.lock):
        signal.value = 0
        await board.cycles(5)
        asked = cocotb.start_soon(board.read("ID"))
        written = cocotb.start_soon(board.write("INSN_COUNT", 1234))
        await board.cycles(50)
        assert not asked.done() and not written.done() and not int(dut.led_0__io.value)
        signal.value = 1
        assert await with_timeout(asked, 1, "us") == memmap.IDENTITY
        await with_timeout(written, 1, "us")
        assert await board.read("INSN_COUNT") == 1234


@cocotb.test()
async def unused(dut):
    """Hard blocks that are not used are told so, and nobody asks for a reset."""
    requests = dut.clocks_resets
    for name in ("f2h_cold_rst_req_n", "f2h_warm_rst_req_n", "f2h_dbg_rst_req_n"):
        assert int(getattr(requests, name).value) == 1
    assert int(dut.hps2fpga.port_size_config.value) == 0b11
    assert int(dut.fpga2hps.port_size_config.value) == 0b01, "64 bits"
    assert not int(dut.boot_from_fpga.bsel_en.value) and not int(dut.boot_from_fpga.csel_en.value)
    assert not int(dut.debug_apb.DBG_APB_DISABLE.value)


@cocotb.test()
async def lights(dut):
    """The second light is the end of a run; what is not used is off."""
    board, sample = await prepared(dut)
    assert not int(dut.led_1__io.value)
    await sample.launch(board)
    await board.finished()
    assert int(dut.led_1__io.value)
