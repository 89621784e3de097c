"""Pooling on the vector ALU: windows of a tensor reduced to their maximum, minimum or sum."""

import numpy as np

from tests.support.compiled import check_orders
from vta import te, topi
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, Target
from vta.compiler.verify import verify
from vta.config import VTAConfig

__all__ = ["KINDS", "Pool", "machine"]

KINDS = {
    "max": (te.max, np.max),
    "min": (te.min, np.min),
    "sum": (te.sum, lambda windows, axis: np.sum(windows, axis, dtype=np.int64)),
}


def machine(batch=0):
    return VTAConfig(
        log_batch=batch, log_block=2, log_uop_buff_size=9, log_inp_buff_size=9,
        log_wgt_buff_size=9, log_acc_buff_size=15,
    )  # fmt: skip


class Pool:
    """Windows of a tensor of ``rows`` x ``columns`` tiles, reduced by the ALU.

    ``pad`` is a frame of ``pad_value`` that the load makes (``by_load``) or a stage of the ALU,
    which is inlined into the reduction with ``inline``.
    """

    def __init__(
        self, kind, rows, columns, window, stride,
        pad=0, pad_value=0, by_load=True, inline=False, weighted=False, cfg=None,
    ):  # fmt: skip
        self.cfg = cfg or machine()
        tile = (self.cfg.batch, self.cfg.block_out)
        self.kind, self.window, self.stride = kind, window, stride
        self.pad, self.pad_value, self.weighted = pad, pad_value, weighted
        self.by_load, self.is_inlined = by_load, inline and not by_load
        self.a = te.placeholder((rows, columns, *tile), "int32", "A")
        self.w = te.placeholder((*window, *tile), "int32", "W")
        frame = [pad, pad, 0, 0]
        if by_load:
            self.chip = topi.nn.pad(self.a, frame, pad_value=pad_value, name="chip")
            source, padded = self.chip, None
        else:
            self.chip = te.compute(self.a.shape, lambda *i: self.a(*i), "chip")
            source = padded = topi.nn.pad(self.chip, frame, pad_value=pad_value, name="padded")
        weights = te.compute(self.w.shape, lambda *i: self.w(*i), "weights")
        dy, dx = (te.reduce_axis((0, n), name) for n, name in zip(window, ("dy", "dx")))
        extents = [(n + 2 * pad - w) // s + 1 for n, w, s in zip((rows, columns), window, stride)]

        def element(i, j, b, c):
            value = source[i * stride[0] + dy, j * stride[1] + dx, b, c]
            value = value * weights[dy, dx, b, c] if weighted else value
            return KINDS[kind][0](value, axis=[dy, dx])

        self.pool = te.compute((*extents, *tile), element, "pool")
        self.out = te.compute(self.pool.shape, lambda *i: self.pool(*i).astype("int8"), "out")
        self.s = te.create_schedule(self.out.op)
        self.stage = self.s[self.pool]
        for tensor in (self.chip, *([weights] if weighted else []), self.pool):
            self.s[tensor].set_scope(ACC_SCOPE)
        for tensor in (self.chip, *([weights] if weighted else []), self.out):
            self.s[tensor].pragma(tensor.op.axis[0], "dma_copy")
        if padded is not None and inline:
            self.s[padded].compute_inline()
        elif padded is not None:
            self.s[padded].set_scope(ACC_SCOPE)
            self.s[padded].pragma(padded.op.axis[0], "alu")
        self.args = [self.a, *([self.w] if weighted else []), self.out]

    def inputs(self):
        rng = np.random.default_rng(3)
        return [rng.integers(-60, 60, t.shape).astype(np.int32) for t in self.args[:-1]]

    def expected(self, a, w=None):
        frame = ((self.pad, self.pad), (self.pad, self.pad), (0, 0), (0, 0))
        a = np.pad(a.astype(np.int64), frame, constant_values=self.pad_value)
        views = np.lib.stride_tricks.sliding_window_view(a, self.window, axis=(0, 1))
        views = views[:: self.stride[0], :: self.stride[1]]
        views = views * w.transpose(2, 3, 0, 1) if self.weighted else views
        return KINDS[self.kind][1](views, axis=(-2, -1)).astype(np.int8)

    def program(self):
        func = lower(self.s, self.args)
        run_passes(func, Target.from_config(self.cfg), observe=verify)
        return compile_func(func, self.cfg)

    def check(self):
        inputs = self.inputs()
        return check_orders(self.program(), inputs, [self.expected(*inputs)])
