"""From a serial line to the control registers and the memory: carries out the requests of
:mod:`vta.uartlink`, one at a time, and answers each.
"""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from vta.boards.shells.uart_frames import FrameReceiver, FrameTransmitter
from vta.boards.shells.uart_memory import BytePortSignature
from vta.boards.shells.uart_phy import UartReceiver, UartTransmitter
from vta.hw.interfaces import AXI4LiteSignature
from vta.memmap import ADDR_BITS
from vta.uartlink import ANSWER, INFO, MAX_DATA, Info, Op, Status

__all__ = ["UartBridge"]


class UartBridge(wiring.Component):
    """The host's way in.

    Parameters
    ----------
    divisor : int
        Clocks in a bit of the line.
    info : Info
        What INFO answers, and where the memory is: a power of two of bytes at a multiple of it.

    Attributes
    ----------
    rx, tx : in, out
        The line.
    registers : AXI4LiteSignature, out
        The control port.
    memory : BytePortSignature, out
        The memory, addressed from its first byte.
    answered, refused : out
        For LEDs: a request is being answered, the last answer was not OK.
    """

    def __init__(self, divisor: int, info: Info) -> None:
        self.divisor, self.info = divisor, info
        super().__init__({
            "rx": In(1), "tx": Out(1, init=1),
            "registers": Out(AXI4LiteSignature(addr_bits=ADDR_BITS)),
            "memory": Out(BytePortSignature(addr_bits=info.memory_bytes.bit_length() - 1)),
            "answered": Out(1), "refused": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.from_line = from_line = UartReceiver(self.divisor)
        m.submodules.to_line = to_line = UartTransmitter(self.divisor)
        m.submodules.receiver = receiver = FrameReceiver()
        m.submodules.transmitter = transmitter = FrameTransmitter()
        m.d.comb += [
            from_line.rx.eq(self.rx),
            receiver.data.eq(from_line.data),
            receiver.valid.eq(from_line.valid),
            receiver.broken.eq(from_line.broken),
            self.tx.eq(to_line.tx),
        ]
        connect(m, transmitter.bytes, to_line.bytes)

        # What waits: a request, and a frame that was none. The receiver holds the request.
        pending, fault, answered = Signal(), Signal(Status), Signal(Status)
        m.d.comb += receiver.hold.eq(pending)
        number = Signal(range(MAX_DATA + 1))
        word = Signal(32)
        with_data = Signal()
        m.d.comb += with_data.eq(
            (answered == Status.OK)
            & (receiver.request.op != Op.WRITE_REGISTER)
            & (receiver.request.op != Op.WRITE_MEMORY)
        )
        self._wires(m, receiver, number, word)
        refusal = Signal(Status)
        judged = self._judge(m, receiver, refusal, pending)
        with m.FSM() as fsm:
            with m.State("idle"):
                m.d.sync += number.eq(0)
                with m.If(fault != Status.OK):
                    m.d.sync += [answered.eq(fault), fault.eq(Status.OK)]
                    m.next = "fault"
                with m.Elif(judged):
                    m.d.sync += answered.eq(refusal)
                    m.next = "decide"
            with m.State("decide"):
                m.next = "answer"
                with m.If(answered == Status.OK), m.Switch(receiver.request.op):
                    for op in (Op.READ_REGISTER, Op.WRITE_REGISTER, Op.WRITE_MEMORY):
                        with m.Case(op):
                            m.next = op.name.lower()
            self._read_register(m, word, answered)
            self._write_register(m, receiver, word, number, answered)
            self._write_memory(m, receiver, number)
            self._answer(m, receiver, transmitter.payload, number, answered, with_data, pending)
            self._data(m, receiver, transmitter.payload, word, number, pending)
        with m.If(receiver.done):
            with m.If(receiver.status == Status.OK):
                m.d.sync += pending.eq(1)
            with m.Else():
                m.d.sync += fault.eq(receiver.status)
        m.d.comb += [
            self.answered.eq(~fsm.ongoing("idle")),
            self.memory.write.eq(fsm.ongoing("write_memory")),
        ]
        with m.If(~fsm.ongoing("idle")):
            m.d.sync += self.refused.eq(answered != Status.OK)
        return m

    def _judge(self, m, receiver, refusal, pending):
        """Drive what is wrong with the request, ``OK`` if nothing; returns whether it is that of
        the pending request. In steps of a cycle each: no path of a slow line bounds the clock."""
        request, info = receiver.request, self.info
        op, length, address = request.op, request.length, request.address
        writes = (op == Op.WRITE_REGISTER) | (op == Op.WRITE_MEMORY)
        register = (op == Op.READ_REGISTER) | (op == Op.WRITE_REGISTER)
        wanted = Mux(register, length == 4, (length != 0) & (length <= MAX_DATA))
        offset = Signal.like(address)
        end = Signal(len(address) + 1)
        above, in_page = Signal(), Signal()
        right_length, right_data, right_address = Signal(), Signal(), Signal()
        in_memory = above & (end <= info.memory_bytes)
        m.d.sync += [
            offset.eq(address - info.memory_base),
            end.eq(offset + length),
            above.eq(address >= info.memory_base),
            in_page.eq(((address >> ADDR_BITS) == 0) & (address[:2] == 0)),
            right_length.eq(Mux(op == Op.INFO, length == INFO.size, wanted)),
            right_data.eq(receiver.data_bytes == Mux(writes, length, 0)),
            right_address.eq(Mux(register, in_page, (op == Op.INFO) | in_memory)),
        ]
        with m.If(op > max(Op)):
            m.d.comb += refusal.eq(Status.BAD_OP)
        with m.Elif(~(right_length & right_data)):
            m.d.comb += refusal.eq(Status.BAD_LENGTH)
        with m.Elif(~right_address):
            m.d.comb += refusal.eq(Status.BAD_ADDRESS)
        with m.Else():
            m.d.comb += refusal.eq(Status.OK)
        steps = Signal(3)  # of the longest way: offset, end, right_address
        m.d.sync += steps.eq(Mux(pending, Cat(pending, steps[:-1]), 0))
        return pending & steps[-1]

    def _wires(self, m, receiver, number, word):
        """Addresses and data of the three: control port, memory, the request's data."""
        bus, address = self.registers, receiver.request.address
        m.d.comb += [
            bus.awaddr.eq(address),
            bus.araddr.eq(address),
            bus.wdata.eq(word),
            bus.wstrb.eq(0b1111),
            self.memory.addr.eq(address + number),
            self.memory.w_data.eq(receiver.byte),
            receiver.index.eq(number),
        ]

    def _read_register(self, m, word, answered):
        bus = self.registers
        with m.State("read_register"):
            m.d.comb += bus.arvalid.eq(1)
            with m.If(bus.arready):
                m.next = "register_read"
        with m.State("register_read"):
            m.d.comb += bus.rready.eq(1)
            with m.If(bus.rvalid):
                m.d.sync += word.eq(bus.rdata)
                with m.If(bus.rresp[1]):
                    m.d.sync += answered.eq(Status.BUS_ERROR)
                m.next = "answer"

    def _write_register(self, m, receiver, word, number, answered):
        """Byte ``number - 1`` of the data comes while ``number`` is asked for."""
        bus = self.registers
        address_sent, data_sent = Signal(), Signal()
        with m.State("write_register"):
            m.d.sync += [
                number.eq(number + 1),
                word.eq(Cat(word[8:], receiver.byte)),
                address_sent.eq(0),
                data_sent.eq(0),
            ]
            with m.If(number == 4):
                m.d.sync += number.eq(0)
                m.next = "register_write"
        with m.State("register_write"):
            m.d.comb += [
                bus.awvalid.eq(~address_sent),
                bus.wvalid.eq(~data_sent),
                bus.bready.eq(1),
            ]
            with m.If(bus.awready):
                m.d.sync += address_sent.eq(1)
            with m.If(bus.wready):
                m.d.sync += data_sent.eq(1)
            with m.If(bus.bvalid):
                with m.If(bus.bresp[1]):
                    m.d.sync += answered.eq(Status.BUS_ERROR)
                m.next = "answer"

    def _write_memory(self, m, receiver, number):
        """The data of the frame to the memory: a byte is asked for, then written."""
        fetched = Signal()
        with m.State("write_memory"):
            m.d.sync += fetched.eq(1)
            m.d.comb += self.memory.valid.eq(fetched)
            with m.If(self.memory.valid & self.memory.ready):
                m.d.sync += [number.eq(number + 1), fetched.eq(0)]
                with m.If(number + 1 == receiver.request.length):
                    m.d.sync += number.eq(0)
                    m.next = "answer"

    def _answer(self, m, receiver, out, number, answered, with_data, pending):
        """Tag, status and length."""
        request = receiver.request
        length = Mux(with_data, request.length, 0)

        def header(tag, length, after):
            parts = Cat(tag, answered, Const(0, 8 - len(answered)), length)
            assert len(parts) == 8 * ANSWER.size
            m.d.comb += [out.valid.eq(1), out.payload.data.eq(parts.word_select(number[:2], 8))]
            with m.If(out.ready):
                m.d.sync += number.eq(number + 1)
                with m.If(number == ANSWER.size - 1):
                    m.d.sync += number.eq(0)
                    after()

        def no_fault():
            m.next = "idle"

        def no_request():
            with m.If(with_data):
                m.next = "data"
            with m.Else():
                m.d.sync += pending.eq(0)
                m.next = "idle"

        with m.State("fault"):
            m.d.comb += out.payload.last.eq(number == ANSWER.size - 1)
            header(Const(0, 8), Const(0, 16), no_fault)
        with m.State("answer"):
            m.d.comb += out.payload.last.eq((number == ANSWER.size - 1) & ~with_data)
            header(request.tag, length, no_request)

    def _data(self, m, receiver, out, word, number, pending):
        """The data of an answer: a byte is found, kept in ``byte``, sent."""
        request, memory = receiver.request, self.memory
        byte, asked, found = Signal(8), Signal(), Signal()
        info = Array(Const(value, 8) for value in self.info.pack())
        with m.State("data"):
            m.d.comb += [
                memory.valid.eq((request.op == Op.READ_MEMORY) & ~asked),
                out.valid.eq(found),
                out.payload.data.eq(byte),
                out.payload.last.eq(number + 1 == request.length),
            ]
            with m.If(memory.valid & memory.ready):
                m.d.sync += asked.eq(1)
            with m.If(~found), m.Switch(request.op):
                with m.Case(Op.READ_MEMORY), m.If(memory.r_valid):
                    m.d.sync += [byte.eq(memory.r_data), found.eq(1)]
                with m.Case(Op.READ_REGISTER):
                    m.d.sync += [byte.eq(word.word_select(number[:2], 8)), found.eq(1)]
                with m.Case(Op.INFO):
                    m.d.sync += [byte.eq(info[number[: (INFO.size - 1).bit_length()]]), found.eq(1)]
            with m.If(found & out.ready):
                m.d.sync += [number.eq(number + 1), asked.eq(0), found.eq(0)]
                with m.If(out.payload.last):
                    m.d.sync += [number.eq(0), pending.eq(0)]
                    m.next = "idle"
