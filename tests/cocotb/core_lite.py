"""The core's control port under a host that is slow, hasty, narrow or lost."""

import cocotb

from tests.support.cocotb_bus import stall
from tests.support.cocotb_machine import Machine, Sample
from tests.support.cocotb_tops import CFG
from vta import memmap
from vta.isa import capabilities_of
from vta.memmap import register

LAST = 1 << memmap.ADDR_BITS


async def prepared(dut):
    """A machine after power-up on the memory of a sample, and the sample."""
    sample = Sample()
    machine = Machine(dut, sample.dram())
    await machine.power_up()
    return machine, sample


@cocotb.test()
@cocotb.parametrize(held=["aw", "w"])
async def address_and_data_apart(dut, held):
    """The data comes long before its address, or long after it; nothing happens in between."""
    machine, sample = await prepared(dut)
    await machine.write("INSN_COUNT", sample.count)
    await machine.write("INSN_ADDR", sample.STREAM)
    channel = getattr(machine.host.write_if, f"{held}_channel")
    channel.pause = True
    launch = machine.host.init_write(register("CONTROL").offset, b"\x01\x00\x00\x00")
    await machine.cycles(40)
    assert not launch.is_set()
    assert await machine.read("STATUS") == 0
    channel.pause = False
    await launch.wait()
    await machine.finished()
    await sample.check(machine)


@cocotb.test()
@cocotb.parametrize(probability=[0.3, 0.8])
async def stalls(dut, probability):
    """A host that stalls its five channels at random runs a program."""
    machine, sample = await prepared(dut)
    write, read = machine.host.write_if, machine.host.read_if
    stall(
        probability, "host",
        write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel,
    )  # fmt: skip
    await sample.launch(machine)
    await machine.finished()
    await sample.check(machine)


@cocotb.test()
async def narrow_strobes(dut):
    """Bytes whose strobe is low keep their value; CONTROL acts only on a byte that is written."""
    machine, sample = await prepared(dut)
    offset = register("INSN_COUNT").offset
    await machine.write("INSN_COUNT", 0x11223344)
    await machine.host.write(offset + 1, b"\xaa")
    assert await machine.read("INSN_COUNT") == 0x1122AA44
    await machine.host.write(offset + 2, b"\xbb\xcc")
    assert await machine.read("INSN_COUNT") == 0xCCBBAA44
    await machine.host.write(offset, b"\x00\x01\x02")
    assert await machine.read("INSN_COUNT") == 0xCC020100
    # 64 bits at once are two words
    await machine.host.write(register("INSN_ADDR").offset, (0x1_2345_6780).to_bytes(8, "little"))
    assert await machine.read("INSN_ADDR") == 0x1_2345_6780
    # the launch bit is in byte 0
    for byte in (1, 2, 3):
        await machine.host.write(register("CONTROL").offset + byte, b"\xff")
    await machine.cycles(20)
    assert await machine.read("STATUS") == 0
    await machine.write("INSN_COUNT", sample.count)
    await machine.host.write(register("INSN_ADDR").offset, sample.STREAM.to_bytes(8, "little"))
    await machine.host.write(register("CONTROL").offset, b"\x01")
    await machine.finished()
    await sample.check(machine)


@cocotb.test()
async def unknown_addresses(dut):
    """All of the page can be read; where no register is, it is 0, and a write does nothing."""
    machine, sample = await prepared(dut)
    known = {each.offset: each for each in memmap.REGISTERS}
    config = dict(zip(("CONFIG0", "CONFIG1"), memmap.config_words(CFG), strict=True))
    config["CAPS"] = int(capabilities_of(CFG))
    reset = {"ID": memmap.IDENTITY, "VERSION": memmap.VERSION, **config}
    unknown = [offset for offset in range(0, LAST, 4) if offset not in known]
    for offset in unknown[::17]:
        await machine.host.write_dword(offset, 0xFFFF_FFFF)
    for each in memmap.REGISTERS:
        if each.access == "ro":
            await machine.host.write_dword(each.offset, 0xFFFF_FFFF)
    page = await machine.host.read(0, LAST)
    for offset in range(0, LAST, 4):
        name = known[offset].name if offset in known else None
        word = int.from_bytes(page.data[offset : offset + 4], "little")
        assert word == reset.get(name, 0), f"0x{offset:03x}"
    await sample.launch(machine)
    await machine.finished()
    await sample.check(machine)


@cocotb.test()
async def reads_during_a_run(dut):
    """The host asks without a pause, and all the registers, while the core works."""
    machine, sample = await prepared(dut)
    machine.stall(0.5)
    await sample.launch(machine)
    seen = 0
    while not int(dut.irq.value):
        page = await machine.host.read(0, 0xB0)
        assert int.from_bytes(page.data[:4], "little") == memmap.IDENTITY
        seen += 1
    assert seen > 2
    await sample.check(machine)
