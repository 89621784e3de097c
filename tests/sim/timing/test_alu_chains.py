"""Chains of ALU micro-ops on few tiles, by the timing model and by the simulated RTL.

Operands of a chain were just produced, or share a bank, in all mixtures. Each program is one random
loop nest, which is executed often enough that its own stalls are most of the cycles.

The model starts each instruction as if the ALU were empty: what the first micro-ops of a nest stall
for the last ones of the nest before is not modelled, so nests have :data:`SHORTEST` micro-ops.
"""

from random import Random

import numpy as np
import pytest

from tests.support.verilated import verilated
from vta.config import VTAConfig
from vta.isa import Alu, AluOpcode, Capability, Finish, Gemm, Isa, Load, MemId, Uop
from vta.sim.memory import Memory
from vta.sim.timing import Cause, estimate_stream
from vta.sim.timing import compiled as kernels
from vta.sim.timing.constants import Constants

BOUND = 0.05
"""Largest error of the cycles of a program."""
MEAN = {"tiny": 0.005, "tiny_small": 0.02, "beats": 0.005, "default": 0.005}
"""Largest mean of the absolute errors of all programs. On a machine that executes in order the
model begins 32 cycles late."""
SHORTEST = 32
UOPS_AT = 0x400
CHAIN_TILES = 40
"""The chain is in the tiles before, products are in those behind."""
MICRO_OPS = 1500
"""Micro-ops of a program, about: against 60 cycles for its start and its end."""
TINY = VTAConfig.preset("tiny")
MACHINES = {
    "tiny": TINY,
    "tiny_small": VTAConfig.preset("tiny_small"),
    "beats": TINY.replace(log_alu_beats=1),
    "default": VTAConfig.preset("default"),
}


def random_uops(random: Random) -> list[Uop]:
    """One to four micro-ops with ``dst`` in few tiles, and ``src`` in these or others."""
    tiles = [random.randrange(16) for _ in range(random.randint(1, 4))]
    others = tiles * 2 + [random.randrange(16) for _ in range(2)]
    return [Uop(random.choice(tiles), random.choice(others)) for _ in range(random.randint(1, 4))]


def random_chain(random: Random, cfg: VTAConfig) -> tuple[list[Uop], Alu]:
    """Micro-ops and an instruction that loops over them, :data:`SHORTEST` of them at least."""
    uops = random_uops(random)
    requantises = Capability.REQUANTISE in Isa.of(cfg).capabilities
    opcode = random.choice(
        [code for code in AluOpcode if requantises or code is not AluOpcode.REQUANTISE]
    )
    use_imm = "imm" in opcode.y_sources and ("acc" not in opcode.y_sources or random.random() < 0.3)
    highest, out, inner = CHAIN_TILES, 1, 1
    while highest >= CHAIN_TILES or len(uops) * out * inner < SHORTEST:
        out, inner = random.randint(1, 12), random.randint(1, 12)
        steps = [random.choice((0, 0, 1, 1, 2, 3, 4, 7)) for _ in range(4)]
        highest = 15 + max((out - 1) * steps[n] + (inner - 1) * steps[n + 1] for n in (0, 2))
    return uops, Alu(
        alu_opcode=opcode, use_imm=use_imm, imm=random.randint(0, 3), uop_end=len(uops),
        iter_out=out, iter_in=inner,
        dst_factor_out=steps[0], dst_factor_in=steps[1],
        src_factor_out=steps[2], src_factor_in=steps[3],
    )  # fmt: skip


def program(random: Random, cfg: VTAConfig, *, products: bool):
    """Instructions and micro-ops: a LOAD of micro-ops and a chain, executed often; with
    ``products`` beside GEMM instructions on other tiles."""
    uops, alu = random_chain(random, cfg)
    operations = len(uops) * alu.iter_out * alu.iter_in << cfg.log_alu_beats
    gemm = Gemm(
        uop_bgn=4, uop_end=5, iter_out=random.randint(1, 4), iter_in=random.randint(1, 8),
        dst_factor_out=random.choice((0, 1, 3)), dst_factor_in=random.choice((0, 1, 2)),
    )  # fmt: skip
    uops = [*uops] + [Uop()] * (4 - len(uops)) + [Uop(CHAIN_TILES)]
    stream = [
        Load(memory=MemId.UOP, dram_base=UOPS_AT, y_size=1, x_size=5, x_stride=5),
        *([gemm, alu] if products else [alu]) * max(MICRO_OPS // operations, 2),
        Finish(),
    ]
    return stream, Isa.of(cfg).encode_uops(uops)


def errors(name: str, seeds: range, *, products: bool = False) -> dict[int, float]:
    """The error of the model's cycles by seed."""
    cfg = MACHINES[name]
    machine, found = verilated(cfg), {}
    for seed in seeds:
        stream, uops = program(Random(seed), cfg, products=products)
        image = np.zeros(0x8000, np.uint8)
        image[4 * UOPS_AT - 0x1000 :][: uops.nbytes] = uops.view(np.uint8)
        cycles = machine.run(stream, Memory(0x1000, image)).cycle_count
        guess = estimate_stream(cfg, stream, uops, uop_base=UOPS_AT).cycles
        found[seed] = guess / cycles - 1
    return found


@pytest.mark.parametrize(
    "name", ["tiny", "tiny_small", "beats", pytest.param("default", marks=pytest.mark.slow)]
)
def test_chains_within_the_bound(name):
    found = errors(name, range(200))
    assert {seed: error for seed, error in found.items() if abs(error) > BOUND} == {}
    assert np.mean(np.abs(list(found.values()))) <= MEAN[name]


@pytest.mark.parametrize("name", ["tiny_small", pytest.param("default", marks=pytest.mark.slow)])
def test_chains_between_products_within_the_bound(name):
    """GEMM reserves banks, and moves what is forwarded in time."""
    found = errors(name, range(100), products=True)
    assert {seed: error for seed, error in found.items() if abs(error) > BOUND} == {}


def test_a_chain_on_one_tile_takes_a_cycle_a_micro_op():
    """Both operands are forwarded: tiles 0 and 7, in one bank, are read from it once."""
    uops = Isa.of(TINY).encode_uops([Uop(0, 7), Uop(7, 0)])
    chain = Alu(alu_opcode=AluOpcode.ADD, uop_end=2, iter_out=20, iter_in=20)
    load = Load(memory=MemId.UOP, dram_base=UOPS_AT, y_size=1, x_size=2, x_stride=2)
    timing = estimate_stream(TINY, [load, chain, Finish()], uops, uop_base=UOPS_AT)
    assert Constants.of(TINY).banks[0] == Constants.of(TINY).banks[7]
    (wait,) = [wait for wait in timing.instructions[1].waits if wait.cause is Cause.BANK]
    assert wait.cycles == 1


@pytest.mark.parametrize("products", [False, True])
def test_the_compiled_kernel_gives_what_the_interpreted_one_gives(products, monkeypatch):
    pytest.importorskip("numba")
    for name, cfg in MACHINES.items():
        for seed in range(20):
            stream, uops = program(Random(seed), cfg, products=products)
            timings = []
            for run in (kernels.interpreted_run, kernels.compiled_run):
                monkeypatch.setattr(kernels, "run", run)
                timings.append(estimate_stream(cfg, stream, uops, uop_base=UOPS_AT))
            assert timings[0] == timings[1], (name, seed)
