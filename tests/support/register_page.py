"""A page of registers behind an AXI4-Lite port, for the benches of what reaches them."""

import random

from tests.support.hwpeers import StallGenerator

__all__ = ["OKAY", "PAGE", "SLVERR", "RegisterPage"]

OKAY, SLVERR = 0, 2
PAGE = 4096


class RegisterPage:
    """The registers' page as bytes, behind the AXI4-Lite port; ``log`` notes the accesses.

    The last word refuses, with SLVERR.
    """

    REFUSES = PAGE - 4

    def __init__(self, bus, probability, seed) -> None:
        self.bus, self.probability, self.seed = bus, probability, seed
        self.data = bytearray(random.Random(seed).randbytes(PAGE))
        self.log = []

    async def writes(self, ctx):
        bus, address, word = self.bus, None, None
        generators = [StallGenerator(self.probability, f"{self.seed} {n}") for n in range(3)]
        while True:
            ready = [generators[0]() and address is None, generators[1]() and word is None]
            ctx.set(bus.awready, ready[0])
            ctx.set(bus.wready, ready[1])
            _, _, awvalid, awaddr, wvalid, wdata, wstrb = await ctx.tick().sample(
                bus.awvalid, bus.awaddr, bus.wvalid, bus.wdata, bus.wstrb
            )
            if awvalid and ready[0]:
                address = awaddr
            if wvalid and ready[1]:
                word = wdata.to_bytes(4, "little"), wstrb
            if address is None or word is None:
                continue
            ctx.set(bus.awready, 0)
            ctx.set(bus.wready, 0)
            assert address % 4 == 0
            self.log.append(("w", address))
            for lane, byte in enumerate(word[0]):
                if word[1] >> lane & 1:
                    self.data[address + lane] = byte
            while not generators[2]():
                await ctx.tick()
            ctx.set(bus.bresp, SLVERR if address == self.REFUSES else OKAY)
            ctx.set(bus.bvalid, 1)
            await ctx.tick().until(bus.bready)
            ctx.set(bus.bvalid, 0)
            address = word = None

    async def reads(self, ctx):
        bus, is_ready = self.bus, StallGenerator(self.probability, f"{self.seed} r")
        while True:
            ready = is_ready()
            ctx.set(bus.arready, ready)
            _, _, valid, address = await ctx.tick().sample(bus.arvalid, bus.araddr)
            if not (valid and ready):
                continue
            ctx.set(bus.arready, 0)
            assert address % 4 == 0
            self.log.append(("r", address))
            while not is_ready():
                await ctx.tick()
            ctx.set(bus.rdata, int.from_bytes(self.data[address : address + 4], "little"))
            ctx.set(bus.rresp, SLVERR if address == self.REFUSES else OKAY)
            ctx.set(bus.rvalid, 1)
            await ctx.tick().until(bus.rready)
            ctx.set(bus.rvalid, 0)
