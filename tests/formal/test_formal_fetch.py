"""Fetch: every instruction of the stream enters the queue of its module, once and in order, and
nothing else does; a stream at fault ends with its first bad instruction.

The constants are smaller than the real ones, so that the first cycles see full queues: 2
instructions in a queue, requests of 2 beats, 4 beats outstanding.
"""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Const, Cover, Mux, Signal, signed
from amaranth.lib.data import View

from tests.formal.mutant import mutant, shrunk
from tests.formal.runner import Properties, constant, hold, reach, refute
from vta.config import INSN_BYTES, VTAConfig
from vta.hw.frontend import fetch
from vta.hw.frontend.decode import InstructionDecoder
from vta.hw.interfaces import layout_of
from vta.isa import INSN_BITS, Isa, MemId, Opcode
from vta.memmap import ErrorCode, Source

ISA = Isa.of(VTAConfig.preset("tiny"))
ADDR_BITS = 32
QUEUE, CHUNK, ROOM = 2, 2, 4
LONGEST = 3
"""Instructions of a stream, at most, where nothing else is said."""
ANY_BITS = (0, 1, 2, 7, 8, 32, 64, 127)
"""Bits of an instruction that may have any value; the others are 0. The first five are the opcode
and the memory."""
QUEUES = ("load", "compute", "store")
DEPTHS = {64: 14, 256: 11}
"""Cycles, for each width of the bus."""


def _fetch(data_bits, module=fetch, isa=ISA):
    module.INSN_QUEUE_DEPTH = QUEUE
    module.StreamReader.CHUNK = CHUNK
    module.StreamReader.BLOCK_RAM_DEPTH = 1
    return module.Fetch(isa, addr_bits=ADDR_BITS, data_bits=data_bits, room=ROOM)


class EachOnce(Properties):
    """The stream is any, from anywhere. The bus serves requests in order, at any time; the
    bytes of a beat outside of the stream are free.

    ``dispatched`` counts the instructions that have entered a queue.
    """

    def __init__(self, data_bits=64, module=None, *, longest=LONGEST, isa=ISA):
        self.beat_bytes, self.longest = data_bits // 8, longest
        self.bits = [Signal(len(ANY_BITS), name=f"bits{n}") for n in range(longest)]
        super().__init__(_fetch(data_bits, module or shrunk(fetch), isa), self.bits)

    def elaborate(self, platform):
        m = super().elaborate(platform)
        self._stream(m)
        self._bus(m)
        self._dispatch(m)
        self.levels = Cat(self._queue(m, number, name) for number, name in enumerate(QUEUES))
        self._progress(m)
        self._cover(m)
        return m

    def _stream(self, m):
        """The stream, and the number of its instructions to dispatch."""
        block = self.block
        self.addr, self.count = constant(m, block.addr), constant(m, block.count)
        self.started, self.bad = Signal(), Signal()
        end = self.addr + self.count * INSN_BYTES
        m.d.sync += self.started.eq(self.started | block.start)
        m.d.comb += [
            Assume(~(self.started & block.start)),
            Assume(~block.start | ((block.addr == self.addr) & (block.count == self.count))),
            self.bad.eq((self.addr % INSN_BYTES != 0) | (end > 1 << ADDR_BITS)),
            Assume(self.bad | (self.count <= self.longest)),
        ]
        self.words, self.targets, self.legal = [], [], []
        legal_before = Const(1)
        for n, signal in enumerate(self.bits):
            bits, word = constant(m, signal), Signal(INSN_BITS, name=f"word{n}")
            stage, legal = Signal(2, name=f"stage{n}"), Signal(name=f"legal{n}")
            head = View(layout_of(ISA.memory), word)
            to_load = (head.memory == MemId.INP) | (head.memory == MemId.WGT)
            m.submodules[f"check{n}"] = check = InstructionDecoder(ISA)
            m.d.comb += [
                *(word[at].eq(bits[k]) for k, at in enumerate(ANY_BITS)),
                stage.eq(
                    Mux(head.opcode == Opcode.STORE, 2,
                        Mux((head.opcode == Opcode.LOAD) & to_load, 0, 1))
                ),
                check.word.eq(word),
                legal.eq(legal_before & ~check.illegal & (n < self.count)),
            ]  # fmt: skip
            legal_before = legal
            self.words.append(word)
            self.targets.append(stage)
            self.legal.append(legal)
        self.to_dispatch = Signal(range(self.longest + 1))
        m.d.comb += self.to_dispatch.eq(Mux(self.bad, 0, sum(self.legal)))

    def _bus(self, m):
        """Requests cover the stream in order, and no more; the buffer has room for every requested
        beat."""
        request, beat = self.block.read.request, self.block.read.beat
        self.requested, self.arrived = requested, arrived = Signal(8), Signal(8)
        ahead = self.addr % self.beat_bytes
        needed = (ahead + self.count * INSN_BYTES + self.beat_bytes - 1) // self.beat_bytes
        m.d.sync += [
            requested.eq(requested + Mux(request.valid & request.ready, request.payload.beats, 0)),
            arrived.eq(arrived + (beat.valid & beat.ready)),
        ]
        m.d.comb += [Assume(~beat.valid | (arrived < requested)), Assert(~beat.valid | beat.ready)]
        with m.If(request.valid):
            m.d.comb += [
                Assert(self.started & ~self.bad),
                Assert(request.payload.beats != 0),
                Assert(request.payload.addr == self.addr - ahead + requested * self.beat_bytes),
                Assert(requested + request.payload.beats <= needed),
            ]
        stream = Cat(self.words)
        for low in range(0, self.beat_bytes * 8, 64):
            # where these 64 bits of the beat are in the stream, if they are
            place = Signal(signed(10), name=f"place{low}")
            m.d.comb += [
                place.eq(arrived * self.beat_bytes + low // 8 - ahead),
                Assume(
                    (place < 0) | (place >= self.count * INSN_BYTES)
                    | (beat.payload[low : low + 64] == stream.word_select(place[3:], 64))
                ),
            ]  # fmt: skip

    def _dispatch(self, m):
        """Instructions are dispatched until the end of the stream, or of the good ones; errors are
        reported with their address."""
        block, error = self.block, self.block.error
        self.dispatched = Signal(range(self.longest + 1))
        started_before = Signal()
        m.d.sync += [
            self.dispatched.eq(self.dispatched + block.dispatched),
            started_before.eq(self.started),
        ]
        m.d.comb += [
            Assert(~block.dispatched | (self.started & (self.dispatched < self.to_dispatch))),
            Assert(
                block.busy
                == (self.started & (self.count != 0) & (self.bad | (self.dispatched != self.count)))
            ),
            Assert(~(started_before & self.bad) | (error.code == ErrorCode.ADDRESS)),
        ]
        with m.If(error.code != ErrorCode.NONE):
            m.d.comb += Assert(self.started & (error.source == Source.FETCH))
            if len(error.addr):
                m.d.comb += Assert(error.addr == self.addr + self.to_dispatch * INSN_BYTES)
        with m.If((error.code != ErrorCode.NONE) & ~self.bad):
            m.d.comb += [
                Assert(error.code == ErrorCode.ILLEGAL_INSTRUCTION),
                Assert((self.dispatched == self.to_dispatch) & (self.to_dispatch != self.count)),
            ]

    def _queue(self, m, number, name):
        """A queue returns the instructions that were dispatched to it, in order, once, and soon."""
        out = getattr(self.block, name)
        entered, dequeued, latency = Signal(3), Signal(3), Signal(2)
        rank, expected, enqueue = Const(0, 3), Const(0), Const(0)
        for n, (word, stage) in enumerate(zip(self.words, self.targets)):
            is_target = stage == number
            expected |= (
                is_target & (rank == dequeued) & (n < self.dispatched) & (out.payload == word)
            )
            enqueue |= is_target & self.block.dispatched & (n == self.dispatched)
            rank = (rank + is_target)[:3]
        level = (entered - dequeued)[:3]
        m.d.sync += [
            entered.eq(entered + enqueue),
            dequeued.eq(dequeued + (out.valid & out.ready)),
            latency.eq(Mux((level != 0) & ~out.valid, latency + 1, 0)),
        ]
        stalled, word_before = Signal(), Signal(INSN_BITS)
        m.d.sync += [stalled.eq(out.valid & ~out.ready), word_before.eq(out.payload)]
        m.d.comb += [
            Assert(~out.valid | expected),
            Assert(~stalled | (out.valid & (out.payload == word_before))),
            Assert(level <= QUEUE),
            Assert(latency < 3),
            Cover((level == QUEUE) & self.block.blocked),
        ]
        return level

    def _progress(self, m):
        """With nothing on the bus and empty queues, fetch asks, or dispatches."""
        request, stuck = self.block.read.request, Signal(4)
        bus_idle = (self.requested == self.arrived) & ~request.valid
        idle = bus_idle & ~self.block.dispatched & ~self.levels.any()
        with m.If(self.started & idle & (self.dispatched != self.to_dispatch)):
            m.d.sync += stuck.eq(stuck + 1)
        with m.Else():
            m.d.sync += stuck.eq(0)
        m.d.comb += Assert(stuck < 7)

    def _cover(self, m):
        """Streams with instructions of all three kinds, from any place in a beat; every error."""
        block = self.block
        ended = self.started & ~block.busy & (self.dispatched == self.longest)
        last_place = max(0, self.beat_bytes - INSN_BYTES)
        m.d.comb += [
            Cover(ended & (Cat(self.targets) == 0b10_01_00) & ~self.levels.any()),
            Cover(ended & (self.addr % self.beat_bytes == last_place)),
            Cover((block.error.code == ErrorCode.ILLEGAL_INSTRUCTION) & (self.dispatched == 1)),
            Cover(self.bad & self.started & (self.addr % INSN_BYTES == 0)),
            Cover(self.bad & self.started & (self.count == 0)),
        ]


@pytest.mark.formal
@pytest.mark.parametrize("data_bits", [64, 256])
def test_every_instruction_is_dispatched_once(data_bits):
    hold(EachOnce(data_bits), depth=DEPTHS[data_bits])


@pytest.mark.formal
def test_the_same_without_addresses_of_errors():
    isa = Isa.of(VTAConfig.preset("tiny").replace(error_detail=0))
    hold(EachOnce(isa=isa), depth=DEPTHS[64])


@pytest.mark.formal
@pytest.mark.parametrize("data_bits", [64, 256])
def test_streams_of_all_kinds_happen(data_bits):
    reach(EachOnce(data_bits), depth=24)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("data_bits", "longest", "old", "new"),
    [
        (64, 3, "self.dispatched.eq(valid & queue_ready & ~illegal)",
         "self.dispatched.eq(valid & queue_ready)"),
        (64, 3, "self.dispatched.eq(valid & queue_ready & ~illegal)",
         "self.dispatched.eq(valid & ~illegal)"),
        (256, 3, "((queue.w_level == depth - 1) & queue.w_en)", "0"),
        (64, 3, "self.dispatched & (module == target)", "self.dispatched"),
        (256, 6, "advance.eq(~decoded | self.dispatched | ~self.busy)", "advance.eq(1)"),
        (64, 3, "queue.ready.eq(~output.valid | output.ready)", "queue.ready.eq(1)"),
        (64, 3, "(addr[: self.addr_bits] + INSN_BYTES)", "(addr[: self.addr_bits] + 8)"),
        (64, 3, "end[self.addr_bits] & end[: self.addr_bits].any()", "end[self.addr_bits]"),
        (64, 3, "& ~self.disable", ""),
        (64, 6, "fits.eq(room >= self.CHUNK)", "fits.eq(room != 0)"),
        (64, 6, "computed.eq(~self.start & ~accepted)", "computed.eq(~self.start)"),
        (64, 3, "beat.eq(beat + self.CHUNK)", "beat.eq(beat + self.CHUNK - 1)"),
        (64, 3, "with m.If(has_low):", "with m.If(~has_low):"),
        (256, 6, "accepts = ~self.insn.valid | self.insn.ready", "accepts = self.insn.ready | 1"),
        (256, 3, "valid = decoded & self.busy &", "valid = decoded &"),
        (256, 3, "lane.eq(self.addr // INSN_BYTES)", "lane.eq(0)"),
        (256, 3, "accepts & (lane == lanes - 1)", "accepts"),
        (256, 3, "(skipped + lanes - 1)) // lanes", "skipped) // lanes"),
    ],
    ids=["illegal-dispatched", "full-queue-ignored", "full-a-cycle-late", "in-every-queue",
         "overwritten-before-a-queue", "overwritten-behind-a-queue", "wrong-error-address",
         "end-of-memory-refused", "asked-in-spite-of-an-error", "asked-without-room",
         "asked-again", "wrong-address", "halves-swapped", "split-overwritten",
         "goes-on-behind-the-end", "first-place-ignored", "rest-of-a-beat-lost",
         "last-beat-not-asked"],
)  # fmt: skip
def test_broken_fetches_are_found(data_bits, longest, old, new):
    refute(EachOnce(data_bits, mutant(fetch, old, new), longest=longest), depth=18)
