"""The common part of the benches of processor boards: stubs stand for the hard blocks, the bench
is the processor at the port to the registers and the memory at the memory port."""

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiResp, AxiSlave

from tests.support.cocotb_bus import say_which_error, watch_master
from tests.support.cocotb_machine import CYCLE_NS, Machine
from vta import memmap

__all__ = ["ShellBench", "check_refusal", "prepared"]


class ShellBench(Machine):
    """A board in simulation.

    A subclass sets :attr:`host`, says how the board powers up, reads its interrupt, and checks the
    bursts of its memory port.

    Parameters
    ----------
    dut : handle
        The top module.
    clk : handle
        Its clock.
    port : handle
        The memory port of the processor's stub, an AXI bus.
    dram : Dram
        The memory behind it.
    rst : handle or None
        A reset of the port, if it has one.
    """

    def __init__(self, dut, clk, port, dram, rst=None) -> None:
        self.dut, self.clk, self.port = dut, clk, port
        dut._log.setLevel("WARNING")
        cocotb.start_soon(Clock(clk, CYCLE_NS, "ns").start())
        self.slave = AxiSlave(AxiBus.from_entity(port), clk, rst)
        for side in (self.slave.read_if, self.slave.write_if):
            say_which_error(side)
        self.use(dram)
        watch_master(port, "", clock=clk)
        cocotb.start_soon(self._check_bursts())

    async def _check_bursts(self) -> None:
        """Check every burst, and the ID of every beat of a write, which AXI3 has."""
        while True:
            await RisingEdge(self.clk)
            for channel in ("ar", "aw"):
                if int(getattr(self.port, f"{channel}valid").value):
                    self.check_burst(
                        lambda name, c=channel: int(getattr(self.port, c + name).value)
                    )
            if int(self.port.wvalid.value):
                assert int(self.port.wid.value) == 0, "the ID of all writes"

    def check_burst(self, field) -> None:
        """Check a burst; ``field(name)`` is a signal of its address channel."""
        raise NotImplementedError

    async def power_up(self) -> None:
        """Release the resets in the order of the board."""
        raise NotImplementedError

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt of the core is asserted, and no other."""
        raise NotImplementedError

    async def cycles(self, count: int) -> None:
        await ClockCycles(self.clk, count)

    async def finished(self, limit: int = 20_000) -> None:
        """Wait for the interrupt."""
        for _ in range(limit // 10):
            await self.cycles(10)
            if self.interrupt:
                return
        raise AssertionError(f"no interrupt in {limit} cycles")


async def prepared(board: type[ShellBench], dut, sample, probability=0.0) -> ShellBench:
    """A board after power-up, with the memory of a sample that stalls with this probability."""
    bench = board(dut, sample.dram())
    await bench.power_up()
    bench.stall(probability, "shell")
    return bench


async def check_refusal(bench: ShellBench, sample) -> None:
    """An address that the memory refuses ends the run with an error; the next run is as ever."""
    bench.dram.refuse(range(sample.X, sample.X + 0x1000), AxiResp.SLVERR)
    await sample.launch(bench)
    await bench.finished()
    code, source, where = await bench.error()
    assert (code, source) == (memmap.ErrorCode.AXI_SLVERR, memmap.Source.LOAD)
    assert where == sample.X
    bench.use(sample.dram())
    await sample.launch(bench)
    await bench.finished()
    await sample.check(bench)
