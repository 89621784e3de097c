"""The device's memory in block RAM: an AXI4 slave for the core, and a byte port for the host.

``data[address - base]``, one beat a cycle in each direction. The host goes first, a byte at a
time, in a cycle in which the memory takes and gives no beat.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from vta.errors import ConfigError
from vta.hw.bus.axi import INCR, Resp
from vta.hw.interfaces import ID_BITS, AXISignature

__all__ = ["BytePortSignature", "OnChipMemory", "require_memory"]

PAGE_BYTES = 4096
BEATS_WAITING = 8
"""Beats that were read and not yet taken: covers the memory's own latency."""


class BytePortSignature(wiring.Signature):
    """The host's side of the memory, from its user: one byte at a time.

    A request is held until it is taken, when ``valid`` and ``ready`` are high; ``ready`` may wait
    for ``valid``. ``r_valid`` follows each read as one pulse, with ``r_data``, before the next
    request is taken.
    """

    def __init__(self, *, addr_bits: int) -> None:
        super().__init__({
            "addr": Out(addr_bits), "write": Out(1), "w_data": Out(8),
            "valid": Out(1), "ready": In(1), "r_data": In(8), "r_valid": In(1),
        })  # fmt: skip


def require_memory(base: int, nbytes: int, addr_bits: int) -> None:
    """Refuse a memory that cannot be.

    Raises
    ------
    ConfigError
        If the size is no power of two of at least 4096 bytes, the base no multiple of it above 0,
        or the end beyond the bus's addresses.
    """
    if nbytes < PAGE_BYTES or nbytes & (nbytes - 1) or base <= 0 or base % nbytes:
        raise ConfigError(
            f"on-chip memory at 0x{base:x}, {nbytes} bytes: the size must be a power of two "
            f"of at least {PAGE_BYTES}, the base a multiple of it above 0"
        )
    if base + nbytes > 1 << addr_bits:
        raise ConfigError(
            f"on-chip memory at 0x{base:x}, {nbytes} bytes: not in {addr_bits} address bits"
        )


class OnChipMemory(wiring.Component):
    """``nbytes`` bytes from address ``base`` on.

    Bursts must be INCR of whole beats that stay in a page of 4 KiB; others are answered SLVERR, one
    that begins outside the memory DECERR; neither changes anything. Reads and writes of one word at
    the same time give the old or the new word. Contents are zero after power-up, and kept by a
    reset.

    Parameters
    ----------
    base, nbytes : int
        The memory: a power of two of at least 4096 bytes at a multiple of its size.
    addr_bits, data_bits : int
        Of the bus.

    Attributes
    ----------
    bus : AXISignature, in
        The core's memory port. Read data come five cycles after their address at the earliest.
    host : BytePortSignature, in
        ``addr`` counts from the first byte of the memory.

    Raises
    ------
    ConfigError
        As :func:`require_memory`.
    """

    def __init__(self, *, base: int, nbytes: int, addr_bits: int, data_bits: int) -> None:
        require_memory(base, nbytes, addr_bits)
        self.base, self.nbytes = base, nbytes
        self.addr_bits, self.data_bits = addr_bits, data_bits
        self.log_beat = (data_bits // 8).bit_length() - 1
        self.log_bytes = nbytes.bit_length() - 1
        super().__init__({
            "bus": In(AXISignature(addr_bits=addr_bits, data_bits=data_bits)),
            "host": In(BytePortSignature(addr_bits=self.log_bytes)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        lanes = self._lanes(m)
        # A request of the host is taken in a cycle without a beat, known a cycle before, so that no
        # "ready" of the bus waits for the host's logic.
        turn, reading = Signal(), Signal()
        m.d.sync += turn.eq(self.host.valid & ~turn & ~reading)
        m.d.comb += self.host.ready.eq(turn)
        self._write(m, lanes, turn)
        self._read(m, lanes, turn, reading)
        return m

    def _lanes(self, m):
        """A memory for each byte of a beat: (write port, read port)."""
        lanes = []
        for lane in range(self.data_bits // 8):
            # What a read gives that meets a write is not defined: no logic to define it.
            memory = Memory(
                shape=8, depth=self.nbytes >> self.log_beat, init=[], attrs={"no_rw_check": 1}
            )
            m.submodules[f"lane{lane}"] = memory
            lanes.append((memory.write_port(), memory.read_port()))
        return lanes

    def _response(self, addr, size, burst):
        """The xRESP of a burst."""
        inside = (addr >> self.log_bytes) == self.base >> self.log_bytes
        whole = (size == self.log_beat) & (burst == INCR)
        return Mux(inside, Mux(whole, Resp.OKAY, Resp.SLVERR), Resp.DECERR)

    def _word(self, addr):
        """The number of the beat in the memory."""
        return addr[self.log_beat : self.log_bytes]

    def _write(self, m, lanes, turn):
        """AW, W, B and the writes of the host: address, data and enables in registers."""
        bus, host = self.bus, self.host
        busy, hosts = Signal(), Signal()
        word = Signal(self.log_bytes - self.log_beat)
        m.d.comb += [
            hosts.eq(host.valid & turn & host.write),
            bus.awready.eq(~busy & ~bus.bvalid),
            bus.wready.eq(busy & ~turn),
        ]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [
                busy.eq(1),
                word.eq(self._word(bus.awaddr)),
                bus.bid.eq(bus.awid),
                bus.bresp.eq(self._response(bus.awaddr, bus.awsize, bus.awburst)),
            ]
        with m.If(bus.wvalid & bus.wready):
            m.d.sync += word.eq(word + 1)
            with m.If(bus.wlast):
                m.d.sync += [busy.eq(0), bus.bvalid.eq(1)]
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += bus.bvalid.eq(0)

        okay = bus.wvalid & bus.wready & (bus.bresp == Resp.OKAY)
        at = Signal.like(word)
        m.d.sync += at.eq(Mux(hosts, self._word(host.addr), word))
        for lane, (write, _) in enumerate(lanes):
            byte, enable = Signal(8, name=f"byte{lane}"), Signal(name=f"enable{lane}")
            mine = host.addr[: self.log_beat] == lane
            m.d.sync += [
                byte.eq(Mux(hosts, host.w_data, bus.wdata.word_select(lane, 8))),
                enable.eq(Mux(hosts, mine, okay & bus.wstrb[lane])),
            ]
            m.d.comb += [write.addr.eq(at), write.data.eq(byte), write.en.eq(enable)]

    def _read(self, m, lanes, turn, reading):
        """AR, R and the reads of the host, through address register, memory and data register.

        ``reading``: a read of the host is on its way.
        """
        bus, host = self.bus, self.host
        info = data.StructLayout({"id": ID_BITS, "resp": 2, "last": 1})
        beats = SyncFIFOBuffered(width=self.data_bits + info.size, depth=BEATS_WAITING)
        m.submodules.beats = beats
        busy, issue = Signal(), Signal()
        word, left = Signal(self.log_bytes - self.log_beat), Signal(8)
        current = Signal(info)
        room = Signal(range(BEATS_WAITING + 1), init=BEATS_WAITING)
        hosts = Signal()
        m.d.comb += [
            hosts.eq(host.valid & turn & ~host.write),
            bus.arready.eq(~busy),
            issue.eq(busy & (room != 0) & ~turn),
        ]
        m.d.sync += room.eq(room - issue + (beats.r_en & beats.r_rdy))
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [
                busy.eq(1),
                word.eq(self._word(bus.araddr)),
                left.eq(bus.arlen),
                current.id.eq(bus.arid),
                current.resp.eq(self._response(bus.araddr, bus.arsize, bus.arburst)),
            ]
        with m.If(issue):
            m.d.sync += [word.eq(word + 1), left.eq(left - 1)]
            with m.If(left == 0):
                m.d.sync += busy.eq(0)

        # Three steps: the address is in its register, in the memory, the data are in theirs.
        at = Signal.like(word)
        steps = [(issue, Cat(current.id, current.resp, left == 0), hosts)]
        for step in range(3):
            names = (Signal(name=f"beat{step}"), Signal(info.size, name=f"info{step}"),
                     Signal(name=f"hosts{step}"))  # fmt: skip
            m.d.sync += [to.eq(by) for to, by in zip(names, steps[-1], strict=True)]
            steps.append(names)
        came, described, for_host = steps[-1]
        beat = Signal(self.data_bits)
        lane_of_host = Signal(self.log_beat)
        m.d.sync += [
            at.eq(Mux(hosts, self._word(host.addr), word)),
            beat.eq(Cat(read.data for _, read in lanes)),
        ]
        m.d.comb += [read.addr.eq(at) for _, read in lanes]
        with m.If(hosts):
            m.d.sync += [reading.eq(1), lane_of_host.eq(host.addr)]
        with m.If(for_host):
            m.d.sync += reading.eq(0)
        m.d.comb += [
            host.r_valid.eq(for_host),
            host.r_data.eq(beat.word_select(lane_of_host, 8)),
            beats.w_en.eq(came),
            beats.w_data.eq(Cat(beat, described)),
            beats.r_en.eq(bus.rready),
            bus.rvalid.eq(beats.r_rdy),
            Cat(bus.rdata, bus.rid, bus.rresp, bus.rlast).eq(beats.r_data),
        ]
