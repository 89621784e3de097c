"""Random instructions for the ALU alone."""

import random

from tests.support.hwmemories import machine, set_uops
from vta.isa import RUN_OPERATIONS, AluOpcode, Uop
from vta.isa import Alu as AluInsn

TILES, UOPS = 5, 10


def random_alu_program(cfg, count):
    """A model with random micro-ops on few tiles, so that most of them have hazards, and ``count``
    instructions of every kind that the machine has."""
    rng = random.Random(5)
    model = machine(cfg, seed=4)
    for row in model.acc[:TILES:2]:  # amounts that shift by less than everything
        row[:] = [rng.randint(-35, 35) for _ in row]
    set_uops(model, [Uop(rng.randrange(TILES), rng.randrange(TILES), 0) for _ in range(UOPS)])
    opcodes = [one for one in AluOpcode if cfg.extension or one is not AluOpcode.REQUANTISE]
    insns = []
    for _ in range(count):
        bgn = rng.randrange(UOPS + 1)
        opcode = rng.choice(opcodes)
        can_start = opcode in RUN_OPERATIONS and bool(cfg.extension)
        insns.append(
            AluInsn(
                alu_opcode=opcode, use_imm=rng.choice(opcode.y_sources) == "imm",
                imm=rng.choice([0, 1, -1, 7, -8, 31, -31, 32, -32, 2**15 - 1, -(2**15)]),
                reset=rng.random() < 0.2, start=can_start and rng.random() < 0.4,
                uop_bgn=bgn, uop_end=rng.randint(bgn, min(bgn + 3, UOPS)),
                iter_out=rng.choice([0, 1, 1, 2]), iter_in=rng.choice([0, 1, 2, 3]),
                dst_factor_out=rng.randrange(2), dst_factor_in=rng.randrange(2),
                src_factor_out=rng.randrange(2), src_factor_in=rng.randrange(2),
            )
        )  # fmt: skip
    return model, insns
