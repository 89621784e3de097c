"""Dilated tensors on chip: ``topi.nn.dilate`` as a load, as a stage of the ALU, inlined, padded."""

import numpy as np

from tests.support.compiled import check_orders
from vta import te, topi
from vta.compiler.driver import compile_func, run_passes
from vta.compiler.lower.lower import lower
from vta.compiler.target import ACC_SCOPE, Target
from vta.compiler.verify import verify

__all__ = ["Dilation"]


class Dilation:
    """``out = int8(pad(dilate(A)) + 1)`` over tiles.

    ``how`` says which stage writes the zeros: ``load`` (a copy from DRAM of dtype int8 or int32) or
    ``alu``, behind a plain load.
    """

    def __init__(self, cfg, shape, strides, before, after, how="load", dtype="int32", value=0):
        self.cfg, self.value = cfg, value
        self.strides, self.before, self.after = (
            (*numbers, *rest) for numbers, rest in ((strides, (1, 1)), (before, (0, 0)),
                                                    (after, (0, 0)))
        )  # fmt: skip
        self.a = te.placeholder((*shape, cfg.batch, cfg.block_out), dtype, "A")
        copies, alu, source = [], [], self.a
        if how == "alu":
            source = te.compute(self.a.shape, lambda *i: self.a(*i).astype("int32"), "copy")
            copies.append(source)
        self.dilated = topi.nn.dilate(source, self.strides, value, name="dilated")
        padded = topi.nn.pad(self.dilated, self.before, self.after, value, name="padded")
        self.wide = te.compute(padded.shape, lambda *i: padded(*i).astype("int32"), "wide")
        (alu if how == "alu" else copies).append(self.wide)
        plus = te.compute(padded.shape, lambda *i: self.wide(*i) + 1, "plus")
        self.out = te.compute(padded.shape, lambda *i: plus(*i).astype("int8"), "out")
        self.s = te.create_schedule(self.out.op)
        self.s[self.dilated].compute_inline()
        self.s[padded].compute_inline()
        self.inside = [*copies, *alu, plus]
        for tensor in self.inside:
            self.s[tensor].set_scope(ACC_SCOPE)
            key = "dma_copy" if tensor in copies else "alu"
            self.s[tensor].pragma(tensor.op.axis[0], key)

    def in_blocks(self, factor, dim):
        """Compute all stages for a block of the result at a time; split along ``dim``."""
        outer, _ = self.s[self.out].split(self.out.op.axis[dim], factor=factor)
        self.s[self.out].reorder(outer, *(a for a in self.out.op.axis if a in
                                          self.s[self.out].leaves))  # fmt: skip
        for tensor in self.inside:
            self.s[tensor].compute_at(self.s[self.out], outer)
        return next(axis for axis in self.s[self.out].leaves if axis is not outer)

    def program(self, store_at=None):
        """The program; the store's pragma is at ``store_at``. To be called once."""
        self.s[self.out].pragma(self.out.op.axis[0] if store_at is None else store_at, "dma_copy")
        func = lower(self.s, [self.a, self.out])
        run_passes(func, Target.from_config(self.cfg), observe=verify)
        return compile_func(func, self.cfg)

    def data(self):
        """An input and what comes out."""
        a = np.random.default_rng(5).integers(-100, 100, self.a.shape).astype(self.a.dtype)
        shape = [(n - 1) * s + 1 for n, s in zip(a.shape, self.strides)]
        dilated = np.full(shape, self.value, np.int64)
        dilated[tuple(slice(None, None, s) for s in self.strides)] = a
        frame = list(zip(self.before, self.after))
        padded = np.pad(dilated, frame, constant_values=self.value)
        return a, (padded + 1).astype(np.int8)

    def check(self, store_at=None):
        a, expected = self.data()
        return check_orders(self.program(store_at), [a], [expected])
