"""Fetch: reads the instruction stream and dispatches the instructions to the three modules.

``queue[module(insn[i])] <- insn[i]``, in order; stalls while the target queue is full

    read requests -> StreamReader -> decode stage -> dispatch -> module queues
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.config import INSN_BYTES, INSN_QUEUE_DEPTH, VTAConfig
from vta.hw.frontend.decode import InstructionDecoder
from vta.hw.interfaces import ErrorLayout, ReadPortSignature, error_addr_bits
from vta.hw.lib.block_queue import BlockQueue
from vta.isa import INSN_BITS, Isa, PipelineModule
from vta.memmap import ErrorCode, Source

__all__ = ["Fetch", "StreamReader"]

COUNT_BITS = 32


class Fetch(wiring.Component):
    """Reads ``count`` instructions from ``addr``, checks them and dispatches them.

    Fetch prefetches as far as the queues have room. It requests no more beats than its buffer can
    hold, so a full instruction queue never blocks the read data of other readers.

    Parameters
    ----------
    isa : Isa
        Instruction set.
    addr_bits, data_bits : int
        Widths of the bus.
    room : int
        As of :class:`StreamReader`.

    Attributes
    ----------
    start : in
        Strobe, once after a reset, with ``addr`` (64 bits, bytes) and ``count``.
    read : ReadPortSignature, out
        The bus.
    load, compute, store : streams of 128 bits, out
        The queues of the modules, ``INSN_QUEUE_DEPTH`` instructions each.
    dispatched : out
        Strobe. An instruction enters its queue.
    busy : out
        Asserted while instructions of the stream are not dispatched.
    blocked : out
        Asserted while the next instruction is stalled by a full queue.
    error : ErrorLayout, out
        ILLEGAL_INSTRUCTION, with the address of the instruction, or ADDRESS: the stream is not
        aligned to 16 bytes or leaves the address space. Nothing is dispatched after an error.
    """

    def __init__(
        self, isa: Isa, *, addr_bits: int, data_bits: int, room: int = VTAConfig.fetch_beats
    ) -> None:
        self.isa, self.addr_bits, self.data_bits, self.room = isa, addr_bits, data_bits, room
        self.beats_bits = StreamReader.CHUNK.bit_length()
        """Width of the number of beats of a request."""
        queue = stream.Signature(INSN_BITS)
        super().__init__({
            "start": In(1), "addr": In(64), "count": In(COUNT_BITS),
            "read": Out(ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "load": Out(queue), "compute": Out(queue), "store": Out(queue),
            "dispatched": Out(1), "busy": Out(1), "blocked": Out(1),
            "error": Out(ErrorLayout(error_addr_bits(isa.cfg))),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = StreamReader(
            addr_bits=self.addr_bits, data_bits=self.data_bits, room=self.room
        )
        connect(m, flipped(self.read), reader.read)

        # The rest of the stream. The address check follows the start by a cycle. The end, one past
        # the last byte, may equal the size of the address space.
        addr = Signal(64)
        remaining = Signal(COUNT_BITS)
        started = Signal()
        log_bytes = INSN_BYTES.bit_length() - 1
        end = Signal(max(self.addr_bits + 1, COUNT_BITS + log_bytes) + 1)
        bad_addr = Signal()
        disabled = Signal()
        beyond = (
            addr[self.addr_bits + 1 :].any()
            | end[self.addr_bits + 1 :].any()
            | (end[self.addr_bits] & end[: self.addr_bits].any())
        )
        m.d.sync += started.eq(self.start)
        with m.If(self.start):
            m.d.sync += [
                addr.eq(self.addr),
                remaining.eq(self.count),
                end.eq(self.addr[: self.addr_bits + 1] + (self.count << log_bytes)),
                self.busy.eq(self.count != 0),
            ]
        m.d.comb += [
            bad_addr.eq((addr % INSN_BYTES != 0) | beyond),
            reader.addr.eq(addr),
            reader.count.eq(remaining),
            reader.start.eq(started & self.busy),
            reader.disable.eq(disabled),
        ]
        # The check is long: the reader starts meanwhile, and is disabled before its first request.
        with m.If(started):
            m.d.sync += disabled.eq(bad_addr)
        self._dispatch(m, reader.insn, addr, remaining)
        # The check ends in the bits of the code only.
        with m.If(started):
            self._fail(m, Mux(bad_addr, ErrorCode.ADDRESS, ErrorCode.NONE), addr)
        return m

    def _dispatch(self, m, insn, addr, remaining):
        """The decode stage, a register, and dispatch into the queue of the module.

        ``addr`` is the address of the instruction in the register, on a machine that reports it;
        ``remaining`` counts this instruction and all younger ones.
        """
        m.submodules.decoder = decoder = InstructionDecoder(self.isa)
        decoded = Signal()
        advance = Signal()
        word = Signal(INSN_BITS)
        module = Signal(PipelineModule)
        illegal = Signal()
        # The last beat may hold words after the end of the stream: busy is low for those.
        valid = decoded & self.busy & (self.error.code == ErrorCode.NONE)
        m.d.comb += [decoder.word.eq(insn.payload), insn.ready.eq(advance)]
        with m.If(advance):
            m.d.sync += [
                decoded.eq(insn.valid),
                word.eq(insn.payload),
                module.eq(decoder.module),
                illegal.eq(decoder.illegal),
            ]

        queue_ready = Signal()
        for target in PipelineModule:
            name = target.name.lower()
            # One instruction is in the output register.
            depth = INSN_QUEUE_DEPTH - 1
            queue = BlockQueue(width=INSN_BITS, depth=depth)
            m.submodules[f"{name}_queue"] = queue
            self._output_register(m, queue.r_stream, getattr(self, name))
            m.d.comb += [
                queue.w_data.eq(word),
                queue.w_en.eq(self.dispatched & (module == target)),
            ]
            # A register; a cycle late when the module takes an instruction of a full queue.
            has_room = Signal(init=1, name=f"{name}_has_room")
            full = (queue.w_level == depth) | ((queue.w_level == depth - 1) & queue.w_en)
            m.d.sync += has_room.eq(~full)
            with m.If(module == target):
                m.d.comb += queue_ready.eq(has_room)
        m.d.comb += [
            self.dispatched.eq(valid & queue_ready & ~illegal),
            advance.eq(~decoded | self.dispatched | ~self.busy),
            self.blocked.eq(valid & ~queue_ready),
        ]
        with m.If(self.dispatched):
            if len(self.error.addr):
                m.d.sync += addr[: self.addr_bits].eq(addr[: self.addr_bits] + INSN_BYTES)
            m.d.sync += [remaining.eq(remaining - 1), self.busy.eq(remaining != 1)]
        with m.If(valid & illegal):
            self._fail(m, ErrorCode.ILLEGAL_INSTRUCTION, addr)

    def _output_register(self, m, queue, output):
        """The head of a queue in a register: the clock-to-output time of block RAM is long, and the
        modules decode the head in the same cycle."""
        m.d.comb += queue.ready.eq(~output.valid | output.ready)
        with m.If(queue.ready):
            m.d.sync += output.valid.eq(queue.valid)
            with m.If(queue.valid):
                m.d.sync += output.payload.eq(queue.payload)

    def _fail(self, m, code, addr):
        m.d.sync += [
            self.error.code.eq(code),
            self.error.source.eq(Source.FETCH),
            self.error.addr.eq(addr),
        ]


class StreamReader(wiring.Component):
    """Reads the stream in chunks and turns beats into instructions.

    A chunk is requested when the buffer has room for all of it. A beat is half an instruction, one
    instruction, or several.

    Parameters
    ----------
    addr_bits, data_bits : int
        Widths of the bus.
    room : int
        Largest number of beats in the buffer and outstanding, at least :attr:`CHUNK`.

    Attributes
    ----------
    start : in
        Strobe, with ``addr`` and ``count``.
    disable : in
        Asserted from the cycle after ``start`` on: nothing is requested.
    read : ReadPortSignature, out
        The bus. ``beat.ready`` is always asserted while requested beats are outstanding.
    insn : stream of 128 bits, out
        The instructions in order; after the last, the remaining words of the last beat. Payload and
        ``valid`` are registers.
    """

    CHUNK = 16
    """Largest number of beats of a request."""
    BLOCK_RAM_DEPTH = 64
    """Words of the buffer, at least: from here on Yosys puts it into block RAM of the ECP5, where
    32 words in LUTs take more than all other logic of the reader."""

    def __init__(self, *, addr_bits: int, data_bits: int, room: int) -> None:
        self.addr_bits, self.data_bits, self.room = addr_bits, data_bits, room
        super().__init__({
            "start": In(1), "addr": In(addr_bits), "count": In(COUNT_BITS), "disable": In(1),
            "read": Out(ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "insn": Out(stream.Signature(INSN_BITS)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        depth = max(self.room, self.BLOCK_RAM_DEPTH)
        m.submodules.buffer = buffer = BlockQueue(width=self.data_bits, depth=depth)
        m.d.comb += [
            buffer.w_data.eq(self.read.beat.payload),
            buffer.w_en.eq(self.read.beat.valid),
            self.read.beat.ready.eq(buffer.w_rdy),
        ]
        self._request(m, beat_read=buffer.r_rdy & buffer.r_en)
        if self.data_bits < INSN_BITS:
            self._join(m, buffer)
        else:
            self._split(m, buffer)
        return m

    def _request(self, m, beat_read):
        """Request the next chunk when the buffer has room; ``beat_read`` frees a place."""
        beat_bytes = self.data_bits // 8
        log_beat = beat_bytes.bit_length() - 1
        remaining = Signal(COUNT_BITS + 2)
        beat = Signal(self.addr_bits - log_beat)
        room = Signal(range(self.room + 1), init=self.room)
        request = self.read.request
        accepted = Signal()
        # The next request is computed in the cycle after the previous request was accepted.
        computed = Signal()
        nonzero = Signal()
        beats = Signal(range(self.CHUNK + 1))
        fits = Signal()
        place_freed = Signal()  # a cycle late, which is safe
        whole_chunk = remaining >= self.CHUNK
        m.d.sync += [
            computed.eq(~self.start & ~accepted),
            nonzero.eq(remaining != 0),
            beats.eq(Mux(whole_chunk, self.CHUNK, remaining)),
            fits.eq(room >= self.CHUNK),
            place_freed.eq(beat_read),
            room.eq(room - Mux(accepted, beats, 0) + place_freed),
        ]
        m.d.comb += [
            request.payload.addr.eq(beat << log_beat),
            request.payload.beats.eq(beats),
            request.valid.eq(computed & nonzero & fits & ~self.disable),
            accepted.eq(request.valid & request.ready),
        ]
        with m.If(self.start):
            # The stream begins at an instruction, perhaps inside a beat.
            lanes = max(1, self.data_bits // INSN_BITS)
            parts = max(1, INSN_BITS // self.data_bits)
            skipped = self.addr[:log_beat] // INSN_BYTES
            m.d.sync += [
                beat.eq(self.addr >> log_beat),
                remaining.eq((self.count + (skipped + lanes - 1)) // lanes * parts),
            ]
        with m.Elif(accepted):
            m.d.sync += [
                beat.eq(beat + self.CHUNK),
                remaining.eq(Mux(whole_chunk, remaining - self.CHUNK, 0)),
            ]

    def _join(self, m, buffer):
        """Two beats make an instruction: they go into the two halves of the output register."""
        has_low = Signal()
        low, high = self.insn.payload[: self.data_bits], self.insn.payload[self.data_bits :]
        m.d.comb += buffer.r_en.eq(~self.insn.valid | self.insn.ready)
        with m.If(buffer.r_en):
            m.d.sync += self.insn.valid.eq(buffer.r_rdy & has_low)
            with m.If(buffer.r_rdy):
                m.d.sync += has_low.eq(~has_low)
                with m.If(has_low):
                    m.d.sync += high.eq(buffer.r_data)
                with m.Else():
                    m.d.sync += low.eq(buffer.r_data)

    def _split(self, m, buffer):
        """A beat is one instruction or several."""
        lanes = self.data_bits // INSN_BITS
        lane = Signal(range(max(lanes, 2)))
        accepts = ~self.insn.valid | self.insn.ready
        m.d.comb += buffer.r_en.eq(accepts & (lane == lanes - 1))
        with m.If(accepts):
            m.d.sync += [
                self.insn.valid.eq(buffer.r_rdy),
                self.insn.payload.eq(buffer.r_data.word_select(lane, INSN_BITS)),
            ]
        if lanes > 1:
            with m.If(self.start):
                m.d.sync += lane.eq(self.addr // INSN_BYTES)
            with m.Elif(buffer.r_rdy & accepts):
                m.d.sync += lane.eq(lane + 1)
