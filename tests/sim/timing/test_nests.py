"""Loop nests of the timing model against a walk through their micro-ops, one by one."""

import dataclasses
from random import Random

import numpy as np
import pytest

from vta.config import VTAConfig
from vta.isa import AluOpcode, Isa, Uop
from vta.sim.timing.constants import Constants
from vta.sim.timing.nests import NO_HIGH, NO_LOW, Nests, Shape
from vta.sim.timing.state import MOST_DISTANT

TINY = VTAConfig.preset("tiny")
ISA, CONSTANTS = Isa.of(TINY), Constants.of(TINY)


def walk(uops, shape):
    """(dst, src) of each micro-op."""
    for o in range(shape.out):
        for i in range(shape.inner):
            for uop in uops:
                yield (
                    uop.dst + o * shape.dst_out + i * shape.dst_in,
                    uop.src + o * shape.src_out + i * shape.src_in,
                )


def distance(tile, number, operands, beats):
    """How many micro-ops of the ALU, which are beats, before the nearest producer of a tile is."""
    for n in range(1, number + 1):
        if operands[number - n][0] == tile:
            return n * beats if n * beats <= MOST_DISTANT else 0
    return 0


def alu_bytes(operands, shape, beats):
    """The bytes of the two operands of each beat, and whether the nest may stall by itself."""
    banks, late = CONSTANTS.banks, CONSTANTS.alu_late.get(AluOpcode.of(shape.alu_opcode), 0)
    found, may_stall = [], False
    for n, (dst, src) in enumerate(operands):
        starts = shape.start and (n == 0 or operands[n - 1][0] != dst)
        apart = 0 if starts else distance(dst, n, operands, beats)
        one = 1 << banks[dst] | apart << 4 | starts << 7
        other, src_apart = 0, 0
        if shape.two_sources:
            src_apart = distance(src, n, operands, beats)
            other = 1 << banks[src] | src_apart << 4 | (src == dst) << 7
            may_stall |= banks[dst] == banks[src] and dst != src
        may_stall |= late > 0 and max(apart, src_apart) > 0
        found += [(one, other)] * beats
    return *np.array(found).T.tolist(), may_stall


def random_nest(random, shapes):
    uops = tuple(
        Uop(random.randrange(40), random.randrange(40)) for _ in range(random.randint(1, 4))
    )
    return uops, random.choice(shapes)


@pytest.mark.parametrize("beats", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_every_nest_is_as_a_walk_through_it(seed, beats):
    constants = dataclasses.replace(CONSTANTS, alu_beats=beats)
    random = Random(seed)
    shapes = []
    for opcode in (
        -1,
        AluOpcode.ADD,
        AluOpcode.SHR,
        AluOpcode.MUL,
        AluOpcode.MAX,
        AluOpcode.REQUANTISE,
    ):
        for two in (False, True) if opcode >= 0 else (False,):
            loops = random.randint(1, 4), random.randint(1, 4)
            steps = [random.randrange(4) for _ in range(4)]
            shapes.append(
                Shape(
                    *loops,
                    *steps,
                    int(opcode),
                    two,
                    opcode >= 0 and random.random() < 0.3,
                    opcode < 0 and random.random() < 0.5,
                )
            )
    chosen = [random_nest(random, shapes) for _ in range(60)]
    nests = Nests(ISA, constants)
    numbers = [
        nests.number(ISA.encode_uops(uops).tobytes(), np.array(shape, np.int64).tobytes())
        for uops, shape in chosen
    ]
    table, (first, second) = nests.computed()
    some_stall = False
    for number, (uops, shape) in zip(numbers, chosen, strict=True):
        operands = list(walk(uops, shape))
        late, may_stall, at, count, low, high, *read = table[:, number].tolist()
        dst, src = np.array(operands).T
        each = beats if shape.alu_opcode >= 0 else 1
        assert (count, low, high) == (len(operands) * each, dst.min(), dst.max())
        expected = (src.min(), src.max()) if shape.two_sources else (NO_LOW, NO_HIGH)
        assert tuple(read) == expected
        bits = 1 << CONSTANTS.banks[dst]
        if shape.alu_opcode >= 0:
            assert late == CONSTANTS.alu_late.get(AluOpcode.of(shape.alu_opcode), 0)
            one, other, expected = alu_bytes(operands, shape, beats)
            assert first[at : at + count].tolist() == one
            assert second[at : at + count].tolist() == other
            assert may_stall == expected
            some_stall |= expected
            continue
        for n in range(count):
            forwarded = any(
                dst[n] == dst[n - d] for d in range(1, CONSTANTS.forwarded + 1) if d <= n
            )
            deferred = n + 1 < count and dst[n + 1] == dst[n]
            assert first[at + n] == (0 if shape.overwrites or forwarded else bits[n])
            assert second[at + n] == (0 if deferred else bits[n])
    assert some_stall


def test_equal_nests_are_computed_once():
    nests = Nests(ISA, CONSTANTS)
    shape = np.array(Shape(2, 2, 1, 1, 0, 0, -1, False, False, False), np.int64).tobytes()
    one = nests.number(ISA.encode_uops([Uop(1)]).tobytes(), shape)
    assert nests.number(ISA.encode_uops([Uop(1)]).tobytes(), bytes(shape)) == one
    assert nests.number(ISA.encode_uops([Uop(2)]).tobytes(), shape) != one
    table, (first, _) = nests.computed()
    assert table.shape == (8, 2) and len(first) == 1 + 2 * 4
