"""Fetch: reads the instruction stream and deals it out to the three modules.

``queue[stage(insn[i])] <- insn[i]``, in order; stops while the queue that is needed is full
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from vta.config import INSN_BYTES, INSN_QUEUE_DEPTH
from vta.hw.frontend.decode import InstructionCheck
from vta.hw.interfaces import ErrorLayout, ReadPortSignature
from vta.hw.lib.skid_buffer import SkidBuffer
from vta.isa import INSN_BITS, Isa, PipelineModule
from vta.memmap import ErrorCode, Source

COUNT_BITS = 32
STAGES = (PipelineModule.LOAD, PipelineModule.COMPUTE, PipelineModule.STORE)


class Fetch(wiring.Component):
    """Reads ``count`` instructions from ``addr`` and checks and deals them out.

    It runs ahead as far as the queues let it. It never asks the bus for more than it has room
    for: a full queue must not keep the beats of others waiting.

    Parameters
    ----------
    isa : Isa
        Instruction set.
    addr_bits, data_bits : int
        Of the bus.

    Attributes
    ----------
    start : in
        Begin, with ``addr`` (64 bits, bytes) and ``count``. Once, after a reset.
    read : ReadPortSignature, out
        The bus.
    load, compute, store : streams of 128 bits, out
        The queues of the modules, ``INSN_QUEUE_DEPTH`` instructions each.
    dealt : out
        Pulses when an instruction enters its queue.
    busy : out
        Instructions have still to be dealt.
    blocked : out
        The next instruction waits for room in its queue.
    error : ErrorLayout, out
        ILLEGAL_INSTRUCTION, with the instruction's address, or ADDRESS: a stream that is not
        aligned to 16 bytes or leaves the bus. Nothing is dealt any more.
    """

    def __init__(self, isa: Isa, *, addr_bits: int, data_bits: int) -> None:
        self.isa, self.addr_bits, self.data_bits = isa, addr_bits, data_bits
        queue = stream.Signature(INSN_BITS)
        super().__init__({
            "start": In(1), "addr": In(64), "count": In(COUNT_BITS),
            "read": Out(ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "load": Out(queue), "compute": Out(queue), "store": Out(queue),
            "dealt": Out(1), "busy": Out(1), "blocked": Out(1), "error": Out(ErrorLayout()),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.reader = reader = _StreamReader(
            addr_bits=self.addr_bits, data_bits=self.data_bits
        )
        connect(m, flipped(self.read), reader.read)

        # What is left of the stream, and, a cycle after the start, whether it can be read at all.
        # Its end, one past the last byte, may be the end of the address space, not beyond.
        addr = Signal(64)
        left = Signal(COUNT_BITS)
        begins = Signal()
        end = Signal(65)
        bad_addr = Signal()
        beyond = end[self.addr_bits + 1 :].any() | (
            end[self.addr_bits] & end[: self.addr_bits].any()
        )
        m.d.sync += begins.eq(self.start)
        with m.If(self.start):
            m.d.sync += [
                addr.eq(self.addr),
                left.eq(self.count),
                end.eq(self.addr + (self.count << (INSN_BYTES.bit_length() - 1))),
                self.busy.eq(self.count != 0),
            ]
        m.d.comb += [
            bad_addr.eq((addr % INSN_BYTES != 0) | beyond),
            reader.addr.eq(addr),
            reader.count.eq(left),
            reader.start.eq(begins & self.busy & ~bad_addr),
        ]
        # The reader, and what is at the queues, do not meet in one cycle.
        m.submodules.skid = skid = SkidBuffer(INSN_BITS)
        connect(m, reader.insn, skid.i)
        self._deal(m, skid.o, addr, left)
        with m.If(begins & bad_addr):
            self._fail(m, ErrorCode.ADDRESS, addr)
        return m

    def _deal(self, m, insn, addr, left):
        """One step checks an instruction, the next puts it in its queue. ``addr`` is the address of
        the latter, and ``left`` counts it and those behind it."""
        m.submodules.check = check = InstructionCheck(self.isa)
        valid = Signal()
        advance = Signal()
        word = Signal(INSN_BITS)
        stage = Signal(PipelineModule)
        illegal = Signal()
        # The last beat may hold more than the stream: nothing counts once all has been dealt.
        live = valid & self.busy & (self.error.code == ErrorCode.NONE)
        m.d.comb += [check.word.eq(insn.payload), insn.ready.eq(advance)]
        with m.If(advance):
            m.d.sync += [
                valid.eq(insn.valid),
                word.eq(insn.payload),
                stage.eq(check.stage),
                illegal.eq(check.illegal),
            ]

        room = Signal()
        for target in STAGES:
            name = target.name.lower()
            queue = SyncFIFOBuffered(width=INSN_BITS, depth=INSN_QUEUE_DEPTH - 1)
            m.submodules[f"{name}_queue"] = queue
            self._offer(m, queue.r_stream, getattr(self, name))
            m.d.comb += [
                queue.w_data.eq(word),
                queue.w_en.eq(self.dealt & (stage == target)),
            ]
            with m.If(stage == target):
                m.d.comb += room.eq(queue.w_rdy)
        m.d.comb += [
            self.dealt.eq(live & room & ~illegal),
            advance.eq(~valid | self.dealt | ~self.busy),
            self.blocked.eq(live & ~room),
        ]
        with m.If(self.dealt):
            m.d.sync += [addr.eq(addr + INSN_BYTES), left.eq(left - 1), self.busy.eq(left != 1)]
        with m.If(live & illegal):
            self._fail(m, ErrorCode.ILLEGAL_INSTRUCTION, addr)

    def _offer(self, m, queue, offered):
        """The head of a queue, in a register: block RAM is slow to give it, and the modules decode
        it in the same cycle."""
        m.d.comb += queue.ready.eq(~offered.valid | offered.ready)
        with m.If(queue.ready):
            m.d.sync += offered.valid.eq(queue.valid)
            with m.If(queue.valid):
                m.d.sync += offered.payload.eq(queue.payload)

    def _fail(self, m, code, addr):
        m.d.sync += [
            self.error.code.eq(code),
            self.error.source.eq(Source.FETCH),
            self.error.addr.eq(addr),
        ]


class _StreamReader(wiring.Component):
    """Reads the stream in chunks, each when there is room for it, and cuts beats into
    instructions (or joins them)."""

    CHUNK = 16
    """Beats that are asked for at once, at most."""
    ROOM = 64
    """Beats that are in the buffer or on their way to it, at most."""

    def __init__(self, *, addr_bits: int, data_bits: int) -> None:
        self.addr_bits, self.data_bits = addr_bits, data_bits
        super().__init__({
            "start": In(1), "addr": In(addr_bits), "count": In(COUNT_BITS),
            "read": Out(ReadPortSignature(addr_bits=addr_bits, data_bits=data_bits)),
            "insn": Out(stream.Signature(INSN_BITS)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = SyncFIFO(width=self.data_bits, depth=self.ROOM)
        m.d.comb += [
            buffer.w_data.eq(self.read.beat.payload),
            buffer.w_en.eq(self.read.beat.valid),
            self.read.beat.ready.eq(buffer.w_rdy),
        ]
        self._request(m, taken=buffer.r_rdy & buffer.r_en)
        if self.data_bits < INSN_BITS:
            self._join(m, buffer)
        else:
            self._cut(m, buffer)
        return m

    def _request(self, m, taken):
        """Ask for the next chunk when there is room for all of it."""
        beat_bytes = self.data_bits // 8
        log_beat = beat_bytes.bit_length() - 1
        left = Signal(COUNT_BITS + 2)
        beat = Signal(self.addr_bits - log_beat)
        room = Signal(range(self.ROOM + 1), init=self.ROOM)
        request = self.read.request
        asked = Signal()
        # What the next request is, is found out in the cycle after the one before it.
        known = Signal()
        some = Signal()
        beats = Signal(range(self.CHUNK + 1))
        fits = Signal()
        whole = left >= self.CHUNK
        m.d.sync += [
            known.eq(~self.start & ~asked),
            some.eq(left != 0),
            beats.eq(Mux(whole, self.CHUNK, left)),
            fits.eq(room >= self.CHUNK),
            room.eq(room - Mux(asked, beats, 0) + taken),
        ]
        m.d.comb += [
            request.payload.addr.eq(beat << log_beat),
            request.payload.beats.eq(beats),
            request.valid.eq(known & some & fits),
            asked.eq(request.valid & request.ready),
        ]
        with m.If(self.start):
            # The stream begins with a whole instruction.
            lanes = max(1, self.data_bits // INSN_BITS)
            parts = max(1, INSN_BITS // self.data_bits)
            skipped = self.addr[:log_beat] // INSN_BYTES
            m.d.sync += [
                beat.eq(self.addr >> log_beat),
                left.eq((self.count + (skipped + lanes - 1)) // lanes * parts),
            ]
        with m.Elif(asked):
            m.d.sync += [beat.eq(beat + self.CHUNK), left.eq(Mux(whole, left - self.CHUNK, 0))]

    def _join(self, m, buffer):
        """A beat is half an instruction."""
        low = Signal(INSN_BITS - self.data_bits)
        second = Signal()
        m.d.comb += [
            self.insn.payload.eq((buffer.r_data << len(low)) | low),
            self.insn.valid.eq(buffer.r_rdy & second),
            buffer.r_en.eq(~second | self.insn.ready),
        ]
        with m.If(buffer.r_rdy & buffer.r_en):
            m.d.sync += [second.eq(~second), low.eq(buffer.r_data)]

    def _cut(self, m, buffer):
        """A beat is one instruction or several; the stream may begin inside a beat."""
        lanes = self.data_bits // INSN_BITS
        lane = Signal(range(max(lanes, 2)))
        m.d.comb += [
            self.insn.payload.eq(buffer.r_data.word_select(lane, INSN_BITS)),
            self.insn.valid.eq(buffer.r_rdy),
            buffer.r_en.eq(self.insn.ready & (lane == lanes - 1)),
        ]
        if lanes > 1:
            with m.If(self.start):
                m.d.sync += lane.eq(self.addr // INSN_BYTES)
            with m.Elif(self.insn.valid & self.insn.ready):
                m.d.sync += lane.eq(lane + 1)
