"""Random schedules of random shapes, from Python to the reference model; a sample of them goes to
the simulated RTL, too.

Each either gives NumPy's result, whatever order the modules take turns in, or is refused with a
VTAError. Nothing else may happen; and enough of them must be accepted for the test to mean
something.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.support.compiled import check_orders, run_program
from tests.support.numpy_golden import convolution, matrix_product
from tests.support.verilated import verilated
from tests.support.workloads import conv2d, matmul
from vta import te
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.compiler.verify import verify
from vta.config import VTAConfig
from vta.errors import CompileError

SMALL = VTAConfig(
    log_block=2, log_batch=1, log_inp_buff_size=10, log_wgt_buff_size=10, log_acc_buff_size=12
)
FLAT = VTAConfig(log_block=3, log_inp_buff_size=10, log_wgt_buff_size=13, log_acc_buff_size=14)
TINY = VTAConfig.preset("tiny")
SHARE = 0.75
"""At least this share of the cases must compile."""
HARDWARE = 3
"""One in so many of those that compile for TINY runs on the simulated RTL as well."""


@dataclass
class Tally:
    """How many cases were tried and accepted; read after all of them."""

    tried: int = 0
    accepted: int = 0
    on_hardware: int = 0
    refusals: list[str] = field(default_factory=list)

    tiny: int = 0

    def turn(self) -> bool:
        """Whether this case goes to the RTL, too."""
        self.tiny += 1
        return self.tiny % HARDWARE == 1

    def check(self) -> None:
        assert self.accepted >= SHARE * self.tried, (
            f"{self.tried - self.accepted} of {self.tried} schedules were refused: "
            f"{sorted(set(self.refusals))[:9]}"
        )


def run_case(
    tally: Tally,
    cfg: VTAConfig,
    s: te.Schedule,
    args: list[te.Tensor],
    inputs: list[np.ndarray],
    expected: np.ndarray,
) -> None:
    """Compile and run one schedule; a CompileError is an answer too."""
    tally.tried += 1
    try:
        func = lower(s, args)
        run_passes(func, Target.from_config(cfg), observe=verify)
        program = compile_func(func, cfg)
    except CompileError as error:
        tally.refusals.append(str(error))
        event(f"refused: {type(error).__name__}")
        return
    tally.accepted += 1
    try:
        counters = check_orders(program, inputs, [expected])
        if cfg is TINY and tally.turn():
            (got,), result = run_program(program, inputs, machine=verilated("tiny", "ddr"))
            np.testing.assert_array_equal(got, expected)
            assert result.counters == counters
            tally.on_hardware += 1
    except BaseException as error:
        error.add_note("\n".join(map(str, s.log)))
        raise


def cut(draw: st.DrawFn, stage: te.Stage, axes: list[te.IterVar]) -> list[te.IterVar]:
    """Split some of ``axes`` and order what comes of them; they stay the outermost loops."""
    loops: list[te.IterVar] = []
    for axis in axes:
        if axis.extent > 1 and draw(st.booleans()):
            size = draw(st.integers(1, axis.extent))
            nparts = draw(st.booleans())
            loops += stage.split(axis, nparts=size) if nparts else stage.split(axis, factor=size)
        else:
            loops.append(axis)
    loops = draw(st.permutations(loops))
    stage.reorder(*loops)
    if len(loops) > 1 and loops[0].kind == loops[1].kind and draw(st.integers(0, 5)) == 0:
        loops[:2] = [stage.fuse(*loops[:2])]
    if loops and draw(st.integers(0, 3)) == 0:
        stage.unroll(draw(st.sampled_from(loops)))
    return loops


def maybe_overlap(draw: st.DrawFn, s: te.Schedule, loops: list[te.IterVar]) -> None:
    """Make the outermost loop virtual threads, or some buffers rings, sometimes."""
    (out,) = s.outputs
    kind = draw(st.sampled_from(["none", "none", "threads", "rings", "rings"]))
    if kind == "threads" and loops:
        out.bind(loops[0], te.thread_axis("cthread"))
    if kind == "rings":
        for stage in s.stages:
            if stage.is_compute and stage is not out and draw(st.booleans()):
                stage.ring(draw(st.integers(1, 3)))


# ---- chains of element-wise arithmetic -----------------------------------------------------------

STEPS = {
    "add": (lambda x, y: x + y, np.add),
    "mul": (lambda x, y: x * y, np.multiply),
    "max": (te.max, np.maximum),
    "min": (te.min, np.minimum),
}
IMMEDIATES = {
    "addi": (lambda x, n: x + n, lambda x, n: x + n),
    "subi": (lambda x, n: x - n, lambda x, n: x - n),
    "muli": (lambda x, n: x * n, lambda x, n: x * n),
    "maxi": (lambda x, n: te.max(x, n), np.maximum),
    "mini": (lambda x, n: te.min(n, x), np.minimum),
    "shr": (lambda x, n: x >> (n % 31), lambda x, n: x >> (n % 31)),
    "shl": (lambda x, n: x << (n % 31), lambda x, n: x << (n % 31)),
}

CHAINS = Tally()


def place_chain(
    draw: st.DrawFn, s: te.Schedule, chain: list[te.Stage], loops: list[te.IterVar]
) -> int:
    """Each stage of the chain no further inside than those that read it.

    Returns the index of the innermost loop that one is computed in, -1 for none.
    """
    (out,) = s.outputs
    place = {out: len(loops) - 1}
    for stage in reversed(chain):
        deepest = min(place[reader] for reader in s.consumers(stage))
        place[stage] = draw(st.sampled_from([deepest, draw(st.integers(-1, deepest))]))
        stage.set_scope(ACC_SCOPE)
        if place[stage] >= 0:
            stage.compute_at(out, loops[place[stage]])
        stage.pragma(stage.op.axis[0], "dma_copy" if stage.name.endswith("_buf") else "alu")
    return max(place[stage] for stage in chain)


@settings(max_examples=60)
@given(st.data())
def test_chains(data: st.DataObject) -> None:
    draw = data.draw
    cfg = draw(st.sampled_from([SMALL, FLAT, TINY]))
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 9)), cfg.batch, cfg.block_out)
    a, b = (te.placeholder(shape, "int32", name) for name in "AB")
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    arrays = [rng.integers(-(2**31), 2**31, shape).astype(np.int32) for _ in "ab"]
    copies = [te.compute(shape, lambda *i, t=t: t(*i), f"{t.name}_buf") for t in (a, b)]
    chain, value = list(copies), list(arrays)
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([*STEPS, *IMMEDIATES]))
        x = draw(st.integers(0, len(chain) - 1))
        if kind in STEPS:
            y = draw(st.integers(0, len(chain) - 1))
            step, judge = STEPS[kind]
            body = lambda *i, f=step, x=x, y=y: f(chain[x](*i), chain[y](*i))  # noqa: E731
            result = judge(value[x], value[y])
        else:
            n = draw(st.integers(-300, 300))
            step, judge = IMMEDIATES[kind]
            body = lambda *i, f=step, x=x, n=n: f(chain[x](*i), n)  # noqa: E731
            result = judge(value[x], np.int32(n))
        chain.append(te.compute(shape, body, f"t{number}"))
        value.append(result)
    out = te.compute(shape, lambda *i: chain[-1](*i).astype("int8"), "out")
    s = te.create_schedule(out.op)
    used = [stage for stage in s.stages if stage.is_compute and not stage.is_output]
    loops = cut(draw, s[out], list(out.op.axis[:2]))
    deepest = place_chain(draw, s, used, loops)
    maybe_overlap(draw, s, loops)
    s[out].pragma(draw(st.sampled_from([*loops[deepest + 1 :], out.op.axis[2]])), "dma_copy")
    placeholders = [t for t in (a, b) if any(stage.op is t.op for stage in s.stages)]
    inputs = [array for t, array in zip((a, b), arrays) if t in placeholders]
    run_case(CHAINS, cfg, s, [*placeholders, out], inputs, value[-1].astype(np.int8))


# ---- matrix products and convolutions ------------------------------------------------------------


def place_product(
    draw: st.DrawFn,
    s: te.Schedule,
    ops: SimpleNamespace,
    total: te.Tensor,
    sources: list[te.Tensor],
    reduce: list[te.IterVar],
    target: Target,
) -> None:
    """Random loops outside the tile, random places for the loads, the product and the clipping."""
    out = s[ops.res]
    loops = cut(draw, out, list(out.op.axis[:-2]))
    at = draw(st.sampled_from(loops))
    after = [*loops[loops.index(at) + 1 :], out.op.axis[-2]]
    for tensor in (total, ops.shr, ops.max, ops.min):
        s[tensor].set_scope(ACC_SCOPE)
        s[tensor].compute_at(out, at)
    product = s[total]
    inner = cut(draw, product, [*product.op.axis[:-2], *reduce])
    product.reorder(*inner, *product.op.axis[-2:], ops.ic_tns)
    for tensor, scope in zip(sources, (INP_SCOPE, WGT_SCOPE)):
        s[tensor].set_scope(scope)
        place = draw(st.sampled_from(["root", "out", "product"]))
        if place == "out":
            s[tensor].compute_at(out, draw(st.sampled_from(loops[: loops.index(at) + 1])))
        elif place == "product":
            s[tensor].compute_at(product, draw(st.sampled_from(inner)))
        s[tensor].pragma(s[tensor].op.axis[0], "dma_copy")
    for tensor in (ops.shr, ops.max, ops.min):
        s[tensor].pragma(s[tensor].op.axis[0], "alu")
    product.tensorize(product.op.axis[-2], target.gemm)
    maybe_overlap(draw, s, loops)
    out.pragma(draw(st.sampled_from(after)), "dma_copy")


PRODUCTS = Tally()


@settings(max_examples=60)
@given(st.data())
def test_products(data: st.DataObject) -> None:
    draw = data.draw
    cfg = draw(st.sampled_from([SMALL, FLAT, TINY]))
    o, n, m = (draw(st.integers(1, 4)) for _ in range(3))
    ops = matmul(o=o, n=n, m=m, batch=cfg.batch, block=cfg.block_in)
    s = te.create_schedule(ops.res.op)
    target = Target.from_config(cfg)
    place_product(draw, s, ops, ops.gem, [ops.data_buf, ops.weight_buf], [ops.ic], target)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    inputs = [rng.integers(-128, 128, t.shape).astype(np.int8) for t in ops.args[:2]]
    run_case(PRODUCTS, cfg, s, ops.args, inputs, matrix_product(*inputs))


CONVOLUTIONS = Tally()


@settings(max_examples=60)
@given(st.data())
def test_convolutions(data: st.DataObject) -> None:
    draw = data.draw
    cfg = draw(st.sampled_from([SMALL, FLAT, TINY]))
    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    pad = (draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1)))
    stride = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    ops = conv2d(
        n=draw(st.integers(1, 2)), ic=draw(st.integers(1, 2)), oc=draw(st.integers(1, 3)),
        height=draw(st.integers(3, 6)), width=draw(st.integers(3, 5)), kernel=kernel, pad=pad,
        stride=stride, batch=cfg.batch, block=cfg.block_in,
    )  # fmt: skip
    s = te.create_schedule(ops.res.op)
    reduce = [ops.ic, ops.dy, ops.dx]
    target = Target.from_config(cfg)
    place_product(draw, s, ops, ops.conv, [ops.data_buf, ops.kernel_buf], reduce, target)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    inputs = [rng.integers(-128, 128, t.shape).astype(np.int8) for t in ops.args[:2]]
    run_case(CONVOLUTIONS, cfg, s, ops.args, inputs, convolution(*inputs, pad, stride))


def test_most_schedules_are_accepted() -> None:
    for tally in (CHAINS, PRODUCTS, CONVOLUTIONS):
        if tally.tried:  # the tests above ran in this process
            tally.check()
            assert tally.on_hardware
