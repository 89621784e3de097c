"""Loop nests of the timing model against a walk through their micro-ops, one by one."""

import dataclasses
from random import Random

import numpy as np
import pytest

from vta.config import VTAConfig
from vta.isa import AluOpcode, Isa, Uop
from vta.sim.timing.constants import Constants
from vta.sim.timing.nests import NO_HIGH, NO_LOW, Nests, Shape

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


def stalls(operands, shape, beats=1):
    """Cycles of the ALU's own stalls: for late results, and for two operands in one bank."""
    banks, late = CONSTANTS.banks, CONSTANTS.alu_late.get(AluOpcode.of(shape.alu_opcode), 0)
    found, conflicts, early = 0, 0, False
    for n, (dst, src) in enumerate(operands):
        for distance in range(1, min(late, n) + 1):
            written = operands[n - distance][0]
            if written == dst or (shape.two_sources and written == src):
                found += max(late + 1 - distance * beats, 0)
                break
    for n, (dst, src) in enumerate([operand for operand in operands for _ in range(beats)]):
        older = operands[(n - 1) // beats][0]
        if not shape.two_sources or shape.start:
            continue
        # A source is read early as long as it is in another bank than the older destination.
        if src == dst or (n and banks[src] == banks[older]):
            early = False
        if banks[dst] == banks[src] and dst != src and not early:
            conflicts += 1
            early = True
    return found, conflicts


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
    for opcode in (-1, AluOpcode.ADD, AluOpcode.SHR, AluOpcode.MUL, AluOpcode.MAX):
        for two in (False, True) if opcode >= 0 else (False,):
            loops = random.randint(1, 4), random.randint(1, 4)
            steps = [random.randrange(4) for _ in range(4)]
            shapes.append(
                Shape(*loops, *steps, int(opcode), two, False, opcode < 0 and random.random() < 0.5)
            )
    chosen = [random_nest(random, shapes) for _ in range(60)]
    nests = Nests(ISA, constants)
    numbers = [
        nests.number(ISA.encode_uops(uops).tobytes(), np.array(shape, np.int64).tobytes())
        for uops, shape in chosen
    ]
    table, (first, second) = nests.computed()
    some_stall = 0
    for number, (uops, shape) in zip(numbers, chosen, strict=True):
        operands = list(walk(uops, shape))
        hazards, conflicts, at, count, low, high, *read = table[:, number].tolist()
        dst, src = np.array(operands).T
        each = beats if shape.alu_opcode >= 0 else 1
        assert (count, low, high) == (len(operands) * each, dst.min(), dst.max())
        expected = (src.min(), src.max()) if shape.two_sources else (NO_LOW, NO_HIGH)
        assert tuple(read) == expected
        bits = 1 << CONSTANTS.banks[dst]
        if shape.alu_opcode >= 0:
            assert (hazards, conflicts) == stalls(operands, shape, beats)
            some_stall += conflicts
            assert first[at : at + count].tolist() == bits.repeat(beats).tolist()
            used = (1 << CONSTANTS.banks[src]) * (src != dst) * shape.two_sources
            assert second[at : at + count].tolist() == used.repeat(beats).tolist()
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
