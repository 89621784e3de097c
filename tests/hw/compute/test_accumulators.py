"""The accumulators: every read, and the narrow mirror, sees every write; which unit stalls."""

import random
from collections import deque
from dataclasses import dataclass, field

import pytest

from tests.support.hwmemories import pack, unpack
from tests.support.hwpeers import bench, simulate
from vta.hw.compute.accumulators import Accumulators, BankArbiter, bank_index, log_banks
from vta.hw.compute.lookahead import (
    ALU_WRITE_LOOKAHEAD,
    GEMM_READ_LOOKAHEAD,
    GEMM_WRITE_LOOKAHEAD,
)

LANES, LANE_BITS = 4, 32
BANKS = 4


@pytest.mark.parametrize(("log_depth", "banks"), [(0, 1), (1, 1), (2, 2), (3, 4), (11, 4)])
def test_the_number_of_banks(log_depth, banks):
    assert 1 << log_banks(log_depth) == banks


def bank_of(tile, banks=BANKS):
    """Parities of some bits of the index."""
    bits = [tile >> n & 1 for n in range(11)]
    low = (bits[0] + bits[2] + bits[5] + bits[7] + bits[9] + bits[10]) % 2
    high = (bits[1] + bits[2] + bits[3] + bits[4] + bits[8]) % 2
    return (low + 2 * high) % banks


@pytest.mark.parametrize("log_depth", range(13))
def test_bank_and_address_are_a_bijection(log_depth):
    bits = log_banks(log_depth)
    tiles = range(1 << log_depth)
    assert [bank_index(tile, log_depth) for tile in tiles] == [
        bank_of(tile, 1 << bits) for tile in tiles
    ]
    places = {(bank_index(tile, log_depth), tile >> bits) for tile in tiles}
    assert places == {(b, a) for b in range(1 << bits) for a in range(1 << log_depth - bits)}


@pytest.mark.parametrize("stride", range(1, 129))
def test_no_stride_stays_in_one_bank(stride):
    """Of 16 tiles of a walk down the rows of a plane, whatever their width, no more than 11 are in
    one bank."""
    for column in range(min(stride, 16)):
        banks = [bank_index(column + row * stride, 11) for row in range(16)]
        assert max(map(banks.count, banks)) <= 11


@dataclass(frozen=True)
class Write:
    """What a port writes in a cycle: one value a lane, and which lanes."""

    addr: int
    values: list[int]
    lanes: list[bool]


@dataclass
class Announced:
    """The accesses of a port that were announced and not made yet: a tile or None for each cycle,
    this cycle's first."""

    lookahead: int
    tiles: deque = field(init=False)

    def __post_init__(self):
        self.tiles = deque([None] * (self.lookahead + 1))

    @property
    def now(self):
        """The access of this cycle."""
        return self.tiles[0]

    def next_cycle(self, tile):
        """A cycle passes, in which the access of ``tile`` is announced."""
        self.tiles.popleft()
        self.tiles.append(tile)


class Traffic:
    """Random accesses of every unit in every cycle, as far as the units' contracts allow."""

    def __init__(self, dut, seed):
        self.dut, self.rng = dut, random.Random(seed)
        self.depth, self.banks = 1 << dut.log_depth, 1 << log_banks(dut.log_depth)
        self.gemm_read = Announced(GEMM_READ_LOOKAHEAD)
        self.gemm_write = Announced(GEMM_WRITE_LOOKAHEAD)
        self.alu_write = Announced(ALU_WRITE_LOOKAHEAD)

    def tile(self):
        return self.rng.randrange(self.depth)

    def bank(self, tile):
        return bank_of(tile, self.banks)

    def in_bank(self, tile, *others):
        """Whether a tile is in the bank of one of the others, which may be None."""
        return self.bank(tile) in [self.bank(other) for other in others if other is not None]

    def announce(self, ctx):
        """Draws the accesses of the cycles to come. GEMM and ALU write different banks in a cycle;
        the reserved banks see to that in the machine."""
        self.gemm_read.next_cycle(self.rng.choice([None, self.tile()]))
        self.gemm_write.next_cycle(self.rng.choice([None, self.tile()]))
        beside = self.gemm_write.tiles[ALU_WRITE_LOOKAHEAD]
        tile = self.rng.choice([None, self.tile()])
        self.alu_write.next_cycle(None if tile is None or self.in_bank(tile, beside) else tile)
        for port, announced in (
            (self.dut.gemm_read_lookahead, self.gemm_read),
            (self.dut.gemm_write_lookahead, self.gemm_write),
            (self.dut.alu_write_lookahead, self.alu_write),
        ):
            tile = announced.tiles[-1]
            ctx.set(port.valid, tile is not None)
            ctx.set(port.addr, self.tile() if tile is None else tile)

    def write(self, ctx, port, tile, mask):
        """Writes random values to ``tile`` (None: nothing) and returns the :class:`Write`."""
        values = [self.rng.randint(-(2**31), 2**31 - 1) for _ in range(LANES)]
        mask = 0 if tile is None else mask
        addr = self.tile() if tile is None else tile
        ctx.set(port.addr, addr)
        ctx.set(port.data, pack(values, LANE_BITS))
        ctx.set(port.mask, mask)
        lanes_of_bit = LANES // len(port.mask)
        return Write(addr, values, [mask >> lane // lanes_of_bit & 1 for lane in range(LANES)])

    def read(self, ctx, port, tile):
        """Reads ``tile``; None reads nothing."""
        ctx.set(port.en, tile is not None)
        ctx.set(port.addr, self.tile() if tile is None else tile)

    def alu_reads(self):
        """``dst`` and ``src``, each None in some cycles, never different tiles of one bank."""
        dst, src = (self.rng.choice([None, self.tile(), self.tile()]) for _ in range(2))
        if None not in (dst, src) and dst != src and self.in_bank(dst, src):
            src = None
        return dst, src


@pytest.mark.parametrize("log_depth", [0, 1, 2, 4])
@pytest.mark.parametrize("out_bits", [4, 8, 16])
@pytest.mark.parametrize("granule", [32, 64, 128])
def test_random_traffic(out_bits, granule, log_depth):
    """Every unit reads and writes in every cycle, as far as the banks allow; nothing is lost."""
    dut = Accumulators(
        log_depth=log_depth, lanes=LANES, lane_bits=LANE_BITS, out_bits=out_bits, granule=granule,
        reads_tiles=True,
    )  # fmt: skip
    traffic = Traffic(dut, seed=granule + out_bits)
    tiles = [[0] * LANES for _ in range(1 << log_depth)]
    store = StoreRead()

    async def testbench(ctx):
        for _ in range(250):
            traffic.announce(ctx)
            gemm_write, alu_write = traffic.gemm_write.now, traffic.alu_write.now
            load = traffic.write(
                ctx, dut.load_write, traffic.tile(),
                traffic.rng.getrandbits(len(dut.load_write.mask)),
            )  # fmt: skip
            writes = [
                traffic.write(ctx, dut.gemm_write, gemm_write, 1),
                traffic.write(ctx, dut.alu_write, alu_write, 1),
            ]
            load_stall = any(load.lanes) and traffic.in_bank(load.addr, gemm_write, alu_write)
            assert ctx.get(dut.load_stall) == load_stall
            if not load_stall:
                writes.append(load)

            gemm_read, out_read = traffic.gemm_read.now, traffic.rng.choice([None, traffic.tile()])
            alu_dst, alu_src = traffic.alu_reads()
            gemm_write_with_alu = traffic.gemm_write.tiles[GEMM_WRITE_LOOKAHEAD - 1]
            store.ask(ctx, dut.tile_read, traffic)
            store_read = store.tile if store.state == "read" else None
            for bank in range(traffic.banks):
                src_reserved = bank in [
                    traffic.bank(tile) for tile in (gemm_read, store_read) if tile is not None
                ]
                dst_reserved = src_reserved or (
                    gemm_write_with_alu is not None and bank == traffic.bank(gemm_write_with_alu)
                )
                assert ctx.get(dut.alu_src_reserved) >> bank & 1 == src_reserved
                assert ctx.get(dut.alu_dst_reserved) >> bank & 1 == dst_reserved
            reads = [
                (dut.gemm_read, gemm_read, LANE_BITS, ()),
                (dut.out_read, out_read, out_bits, ()),
                (dut.alu_src_read, alu_src, LANE_BITS, (gemm_read, store_read)),
                (
                    dut.alu_dst_read,
                    alu_dst,
                    LANE_BITS,
                    (gemm_read, store_read, gemm_write_with_alu),
                ),
            ]
            for port, tile, _, _ in reads:
                traffic.read(ctx, port, tile)
            announced = traffic.gemm_read.tiles[GEMM_READ_LOOKAHEAD] is not None
            was_ready, expected = store.next_cycle(announced, tiles)
            assert ctx.get(dut.tile_read.ready) == was_ready
            await ctx.tick()
            if was_ready:
                assert unpack(ctx.get(dut.tile_read.data), LANE_BITS, LANES) == expected

            for port, tile, bits, reserved_for in reads:
                if tile is not None and not traffic.in_bank(tile, *reserved_for):
                    expected = unpack(pack(tiles[tile], bits), bits, LANES)
                    assert unpack(ctx.get(port.data), bits, LANES) == expected
            for write in writes:
                for lane in range(LANES):
                    if write.lanes[lane]:
                        tiles[write.addr][lane] = write.values[lane]

    simulate(dut, testbench)
    assert store.reads > 10


class StoreRead:
    """A STORE of ACC, which reads a tile after the other: asked for, read, at the port."""

    def __init__(self):
        self.state, self.tile, self.values, self.reads = "idle", None, None, 0

    def ask(self, ctx, port, traffic):
        """What the STORE asks for in this cycle; held until it is ready."""
        if self.tile is None and traffic.rng.random() < 0.7:
            self.tile = traffic.tile()
        ctx.set(port.en, self.tile is not None)
        ctx.set(port.addr, self.tile or 0)
        ctx.set(port.take, 1)

    def next_cycle(self, gemm_reads, tiles):
        """A cycle passes; GEMM reads in the next one or does not. Returns whether the STORE is
        ready in this one, and the values that it then has."""
        ready, values = self.state == "ready", self.values
        if self.state == "idle" and self.tile is not None:
            self.state = "asked"
        elif self.state == "asked" and not gemm_reads:
            self.state = "read"
        elif self.state == "read":
            self.state, self.values = "ready", list(tiles[self.tile])
        elif ready:
            self.state, self.tile = "idle", None
            self.reads += 1
        return ready, values


@dataclass(frozen=True)
class Reservation:
    """Banks of the accesses that are announced in one cycle (None: no access), and the banks that
    are reserved in the next one."""

    gemm_read: int | None
    gemm_write: int | None
    alu_src_reserved: set[int]
    alu_dst_reserved: set[int]


RESERVATIONS = [
    #           GEMM: read, write   ALU reserved: src, dst
    Reservation(None, None, set(), set()),
    Reservation(0, None, {0}, {0}),
    Reservation(3, None, {3}, {3}),
    Reservation(None, 0, set(), {0}),
    Reservation(None, 2, set(), {2}),
    Reservation(1, 1, {1}, {1}),
    Reservation(1, 2, {1}, {1, 2}),
]


@pytest.mark.parametrize("row", RESERVATIONS, ids=str)
@pytest.mark.parametrize("address", [0, 3])
def test_banks_reserved_from_the_alu(row, address):
    block = bench(BankArbiter, log_depth=4)
    dut = block.dut
    tiles = {bank_of(tile): tile for tile in range(address * BANKS, (address + 1) * BANKS)}

    async def testbench(ctx):
        for port, bank in (
            (dut.gemm_read_lookahead, row.gemm_read), (dut.gemm_write_lookahead, row.gemm_write)
        ):  # fmt: skip
            ctx.set(port.valid, bank is not None)
            ctx.set(port.addr, tiles[bank or 0])
        await ctx.tick()
        assert ctx.get(dut.alu_src_reserved) == sum(1 << bank for bank in row.alu_src_reserved)
        assert ctx.get(dut.alu_dst_reserved) == sum(1 << bank for bank in row.alu_dst_reserved)

    block.run(testbench)


@pytest.mark.parametrize(
    ("port", "lookahead"),
    [
        ("gemm_write_lookahead", GEMM_WRITE_LOOKAHEAD),
        ("alu_write_lookahead", ALU_WRITE_LOOKAHEAD),
    ],
)
def test_banks_reserved_from_a_load(port, lookahead):
    """A write that is announced reserves its bank in the cycle of the write, and in no other."""
    block = bench(BankArbiter, log_depth=4)
    dut = block.dut

    async def testbench(ctx):
        announced = getattr(dut, port)
        ctx.set(announced.addr, 7)
        for cycle in range(lookahead + 3):
            ctx.set(announced.valid, cycle == 0)
            assert ctx.get(dut.load_reserved) == (1 << bank_of(7) if cycle == lookahead else 0)
            await ctx.tick()

    block.run(testbench)
