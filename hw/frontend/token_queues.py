"""The four token queues between the modules: counters, because a token says nothing else.

``count' = count + push - pop``
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import TokenSignature

COUNT_BITS = 32
QUEUES = ("l2g", "g2l", "g2s", "s2g")


class TokenQueues(wiring.Component):
    """Counts the tokens from load to compute (``l2g``), back (``g2l``), and so on.

    A token can be popped from the cycle after its push on.

    Attributes
    ----------
    load, compute, store : TokenSignature, in
        The modules.
    clear : in
        Take all tokens away.
    l2g, g2l, g2s, s2g : out
        Tokens in each queue, 32 bits.
    """

    def __init__(self) -> None:
        super().__init__({
            **{module: In(TokenSignature()) for module in ("load", "compute", "store")},
            "clear": In(1),
            **{queue: Out(COUNT_BITS) for queue in QUEUES},
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        # queue: the module that pushes, its side, the module that pops, its side
        ends = {
            "l2g": (self.load, "next", self.compute, "prev"),
            "g2l": (self.compute, "prev", self.load, "next"),
            "g2s": (self.compute, "next", self.store, "prev"),
            "s2g": (self.store, "prev", self.compute, "next"),
        }
        for queue, (pusher, push_side, popper, pop_side) in ends.items():
            count = getattr(self, queue)
            push = getattr(pusher, f"push_{push_side}")
            pop = getattr(popper, f"pop_{pop_side}")
            some = Signal(name=f"{queue}_some")  # count != 0
            m.d.comb += getattr(popper, f"{pop_side}_avail").eq(some)
            with m.If(self.clear):
                m.d.sync += [count.eq(0), some.eq(0)]
            with m.Elif(push & ~pop):
                m.d.sync += [count.eq(count + 1), some.eq(1)]
            with m.Elif(pop & ~push):
                m.d.sync += [count.eq(count - 1), some.eq(count != 1)]
        return m
