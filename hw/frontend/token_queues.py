"""The four token queues between the modules: counters, because a token carries no data.

``count' = count + push - pop``
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vta.hw.interfaces import TokenSignature
from vta.isa import TOKEN_QUEUES, PipelineModule

__all__ = ["TokenQueues"]

COUNT_BITS = 32


class TokenQueues(wiring.Component):
    """A counter for each of :data:`vta.isa.TOKEN_QUEUES`.

    A token can be popped from the cycle after its push on. Push and pop in one cycle do not change
    the count.

    Attributes
    ----------
    load, compute, store : TokenSignature, in
        The modules.
    clear : in
        Strobe. All counts become 0; has precedence.
    l2g, g2l, g2s, s2g : out
        Tokens in each queue, 32 bits.
    """

    def __init__(self) -> None:
        super().__init__({
            **{module.name.lower(): In(TokenSignature()) for module in PipelineModule},
            "clear": In(1),
            **{queue.name: Out(COUNT_BITS) for queue in TOKEN_QUEUES},
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        for queue in TOKEN_QUEUES:
            source = getattr(self, queue.source.name.lower())
            target = getattr(self, queue.target.name.lower())
            push = getattr(source, queue.push_flag)
            pop = getattr(target, queue.pop_flag)
            count = getattr(self, queue.name)
            nonzero = Signal(name=f"{queue.name}_nonzero")  # a register that equals count != 0
            m.d.comb += getattr(target, f"{queue.target_side}_avail").eq(nonzero)
            with m.If(self.clear):
                m.d.sync += [count.eq(0), nonzero.eq(0)]
            with m.Elif(push ^ pop):  # one adder: of 1, or of -1
                step = Cat(1, pop.replicate(COUNT_BITS - 1))
                m.d.sync += [count.eq(count + step), nonzero.eq(push | (count != 1))]
        return m
