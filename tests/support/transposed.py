"""Transposed convolutions on the machine, written in the ways that there are."""

import numpy as np

from tests.support.compiled import check_orders
from vta import te, top, topi
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, INP_SCOPE, WGT_SCOPE, Target
from vta.compiler.verify import verify

__all__ = ["WAYS", "Transposed"]

WAYS = ("phases", "pragma", "inlined", "dense")
"""``phases``: the operator and its schedule. The others convolve a dilated and padded tensor:
``pragma`` as the original's schedule does, ``inlined`` without any zeros on chip, ``dense`` with
all products."""


class Transposed:
    """``out = int8(transposed convolution)`` of ``size`` pixels by ``taps``."""

    def __init__(
        self, cfg, way, size=(3, 4), taps=(3, 3), stride=(2, 2), cut=(1, 1, 1, 1), extra=(0, 0),
        channels=(1, 1), **blocks,
    ):  # fmt: skip
        self.cfg, self.way, self.size, self.taps = cfg, way, size, taps
        self.stride, self.cut, self.channels = stride, cut, channels
        self.target = Target.from_config(cfg)
        ci, co = channels
        b, k = cfg.batch, cfg.block_in
        self.data = te.placeholder((1, ci, *size, b, k), "int8", "data")
        self.kernel = te.placeholder((co, ci, *taps, k, k), "int8", "kernel")
        operator = top.conv2d_transpose_packed(
            self.data, self.kernel, stride, cut, output_padding=extra
        )
        self.shape = operator.shape
        if way == "phases":
            self.out = topi.cast(topi.add(operator, 1), "int8", name="out")
            self.s = top.schedule_conv2d_transpose_packed(self.out, self.target.gemm, **blocks)
        else:
            self.by_hand(extra, **blocks)

    def by_hand(self, extra, h_block=None, **_):
        dilated = topi.nn.dilate(self.data, [1, 1, *self.stride, 1, 1], name="dilated")
        before = [k - 1 - self.cut[dim] for dim, k in enumerate(self.taps)]
        after = [k - 1 - self.cut[2 + dim] + extra[dim] for dim, k in enumerate(self.taps)]
        padded = topi.nn.pad(dilated, [0, 0, *before, 0, 0], [0, 0, *after, 0, 0], name="padded")
        extents = (self.channels[0], *self.taps, self.cfg.block_in)
        ko, dy, dx, ki = (te.reduce_axis((0, n), m) for n, m in zip(extents, "kyxi"))
        acc = te.compute(
            self.shape,
            lambda n, c, y, x, b, i: te.sum(
                padded[n, ko, y + dy, x + dx, b, ki].astype("int32")
                * self.kernel[c, ko, dy, dx, i, ki].astype("int32"),
                axis=[ko, dy, dx, ki],
            ),
            name="acc",
        )
        plus = te.compute(self.shape, lambda *i: acc(*i) + 1, name="plus")
        self.out = te.compute(self.shape, lambda *i: plus(*i).astype("int8"), name="out")
        s = self.s = te.create_schedule(self.out.op)
        data = padded
        s[dilated].compute_inline()
        if self.way == "inlined":
            s[padded].compute_inline()
            data = s.cache_read(self.data, INP_SCOPE, [dilated])
        weights = s.cache_read(self.kernel, WGT_SCOPE, [acc])
        outer, inner = s[self.out].split(self.out.op.axis[2], factor=h_block or self.shape[2])
        s[self.out].reorder(outer, self.out.op.axis[1])
        for tensor in (acc, plus):
            s[tensor].set_scope(ACC_SCOPE)
            s[tensor].compute_at(s[self.out], outer)
        n, c, y, x, b, i = acc.op.axis
        s[acc].reorder(n, ko, dy, dx, c, y, x, b, i, ki)
        for tensor, scope in ((data, INP_SCOPE), (weights, WGT_SCOPE)):
            s[tensor].set_scope(scope)
            s[tensor].compute_at(s[acc], ko)
            s[tensor].pragma(s[tensor].op.axis[0], "dma_copy")
        s[plus].pragma(plus.op.axis[0], "alu")
        s[self.out].pragma(inner, "dma_copy")
        if self.way == "pragma":
            s[acc].pragma(b, "conv2d_transpose_gemm")
        else:
            s[acc].tensorize(b, self.target.gemm)

    def program(self):
        func = lower(self.s, [self.data, self.kernel, self.out])
        run_passes(func, self.target, observe=verify)
        return compile_func(func, self.cfg)

    def inputs(self):
        rng = np.random.default_rng(11)
        return [rng.integers(-9, 10, t.shape).astype(np.int8) for t in (self.data, self.kernel)]

    def expected(self, data, kernel):
        """Each pixel of the data adds the kernel to the result, which is then cut."""
        turned = kernel[:, :, ::-1, ::-1].astype(np.int64)
        (h, w), (kh, kw), (sy, sx) = self.size, self.taps, self.stride
        whole = (*self.shape[:2], h * sy + kh + sy, w * sx + kw + sx, *self.shape[4:])
        total = np.zeros(whole, np.int64)
        for y in range(h):
            for x in range(w):
                part = np.einsum("nkbi,ckyxoi->ncyxbo", data[:, :, y, x].astype(np.int64), turned)
                total[:, :, y * sy : y * sy + kh, x * sx : x * sx + kw] += part
        top_, left = self.cut[:2]
        rows, columns = self.shape[2:4]
        total = total[:, :, top_ : top_ + rows, left : left + columns]
        return (total + 1).astype(np.int8)

    def products(self):
        """How many products of tiles are useful; those at the frame count unless it is inlined."""
        number = self.channels[0] * self.channels[1]
        for dim in range(2):
            taps, by, n = self.taps[dim], self.stride[dim], self.size[dim]
            first = taps - 1 - self.cut[dim]
            hits = 0
            for at in range(self.shape[2 + dim]):
                for tap in range(taps):
                    place = at + tap - first
                    inside = 0 <= place <= (n - 1) * by
                    hits += place % by == 0 and (inside or self.way != "inlined")
            dense = self.shape[2 + dim] * taps
            number *= dense if self.way == "dense" else hits
        return number

    def check(self):
        inputs = self.inputs()
        counters = check_orders(self.program(), inputs, [self.expected(*inputs)])
        assert counters.gemm_counter == self.products()
