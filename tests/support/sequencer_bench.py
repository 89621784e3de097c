"""The micro-op sequencer under Amaranth's simulator, and nested loops to compare it with."""

from dataclasses import dataclass, field
from functools import partial

from tests.support.hwmemories import serve_uops
from tests.support.hwpeers import StallGenerator, bench, sample, send
from vta.hw.compute.sequencer import Index, Sequencer

__all__ = ["Item", "SequencerRun", "expand", "run_sequencer"]


@dataclass(frozen=True)
class Item:
    """A micro-op with its final indices; an index that is not used is None."""

    dst: int | None
    src: int | None
    wgt: int | None
    reset: bool
    empty: bool
    last: bool


@dataclass
class SequencerRun:
    """Items, the cycle of each, the cycles in which instructions were accepted, those in which no
    item is offered, and the error as (code, source, address) in the last cycle."""

    items: list[Item] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)
    error: tuple = (0, 0, 0)


def expand(insn, uops) -> list[Item]:
    """The items of a GEMM instruction."""
    items = []
    for o in range(insn.iter_out):
        for i in range(insn.iter_in):
            for uop in uops[insn.uop_bgn : insn.uop_end]:
                dst = uop.dst + o * insn.dst_factor_out + i * insn.dst_factor_in
                src = uop.src + o * insn.src_factor_out + i * insn.src_factor_in
                wgt = uop.wgt + o * insn.wgt_factor_out + i * insn.wgt_factor_in
                items.append((dst, None, None) if insn.reset else (dst, src, wgt))
    if not items:
        return [Item(None, None, None, reset=insn.reset, empty=True, last=True)]
    return [
        Item(*indices, reset=insn.reset, empty=False, last=number == len(items))
        for number, indices in enumerate(items, 1)
    ]


def run_sequencer(
    isa, insns, uops, *, cycles, op_probability=1.0, port_probability=1.0
) -> SequencerRun:
    """Run GEMM instructions; ``op_probability`` and ``port_probability``: that an item is
    accepted, and that the port of the micro-op SRAM is granted."""
    cfg = isa.cfg
    block = bench(
        Sequencer,
        isa.gemm,
        isa.uop,
        (
            Index("dst", cfg.log_acc_depth),
            Index("src", cfg.log_inp_depth, unused_if="reset"),
            Index("wgt", cfg.log_wgt_depth, unused_if="reset"),
        ),
        ("reset",),
        log_depth=cfg.log_uop_depth,
    )
    dut = block.dut
    run, accepts = SequencerRun(), StallGenerator(op_probability, seed=3)

    async def watch(ctx):
        op = dut.op.payload
        for cycle in range(cycles):
            ctx.set(dut.op.ready, accepts())
            now = await sample(
                ctx, valid=dut.op.valid, offered=dut.op.valid & dut.op.ready,
                started=dut.insn.valid & dut.insn.ready, dst=op.dst, src=op.src, wgt=op.wgt,
                reset=op.insn.reset, empty=op.empty, last=op.last,
                code=dut.error.code, source=dut.error.source, addr=dut.error.addr,
            )  # fmt: skip
            if now.offered:
                dst = None if now.empty else now.dst
                src, wgt = (None, None) if now.empty or now.reset else (now.src, now.wgt)
                flags = {name: bool(vars(now)[name]) for name in ("reset", "empty", "last")}
                run.items.append(Item(dst, src, wgt, **flags))
                run.cycles.append(cycle)
            if not now.valid:
                run.idle.append(cycle)
            if now.started:
                run.starts.append(cycle)
        run.error = now.code, now.source, now.addr

    layout = dut.insn.payload.shape()
    words = [layout.from_bits(int.from_bytes(isa.encode(insn), "little")) for insn in insns]
    memory = [isa.encode_uop(uop) for uop in uops] + [0] * (cfg.uop_depth - len(uops))
    block.run(
        watch,
        partial(
            serve_uops,
            memory=memory,
            ports=[dut.uop_read],
            is_ready=StallGenerator(port_probability, 4),
        ),
        partial(send, stream=dut.insn, items=words, is_ready=StallGenerator()),
    )
    return run
