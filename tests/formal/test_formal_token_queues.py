"""Token queues: none is lost, none is invented, in any run of any length."""

import pytest
from amaranth.hdl import Assert, Assume, Cat, Cover, Signal

from tests.formal.mutant import mutant
from tests.formal.runner import Properties, prove, reach, refute
from vta.hw.frontend import token_queues

QUEUES = {
    "l2g": ("load", "next", "compute", "prev"),
    "g2l": ("compute", "prev", "load", "next"),
    "g2s": ("compute", "next", "store", "prev"),
    "s2g": ("store", "prev", "compute", "next"),
}
"""Queue: the module that pushes, its side, the module that pops, its side."""


class TokensConserved(Properties):
    """Each count is what was pushed less what was popped, and says whether a token is there.

    The ledger of pushes less pops is wider than the counter, so a counter that wraps is found; no
    run is long enough for it (2^32 instructions of one stream), and so none is assumed to be.
    """

    def elaborate(self, platform):
        m = super().elaborate(platform)
        block = self.block
        pushes = []
        for queue, (pusher, push_side, popper, pop_side) in QUEUES.items():
            log = Signal(token_queues.COUNT_BITS + 2, name=f"{queue}_ledger")
            push = getattr(getattr(block, pusher), f"push_{push_side}")
            pop = getattr(getattr(block, popper), f"pop_{pop_side}")
            available = getattr(getattr(block, popper), f"{pop_side}_avail")
            count = getattr(block, queue)
            pushes.append(push)
            m.d.sync += log.eq(log + push - pop)
            with m.If(block.clear):
                m.d.sync += log.eq(0)
            m.d.comb += [
                Assume(~pop | available),  # modules wait for their tokens: proved of each of them
                Assume(log < (1 << token_queues.COUNT_BITS) - 1),
                Assert(count == log),
                Assert(available == (log != 0)),
                Cover(log == 3),
                Cover(push & pop & (log == 1)),
            ]
        emptied = Signal()
        m.d.sync += emptied.eq(block.clear & (block.g2s == 2))
        m.d.comb += [Cover(Cat(pushes).all()), Cover(emptied & (block.g2s == 0))]
        return m


def test_tokens_are_neither_lost_nor_invented():
    prove(TokensConserved(token_queues.TokenQueues()), depth=2)


@pytest.mark.formal
def test_queues_fill_and_empty():
    reach(TokensConserved(token_queues.TokenQueues()), depth=6)


@pytest.mark.formal
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Cat(1, pop.replicate", "Cat(count != 1, pop.replicate"),
        ("with m.Elif(push ^ pop):", "with m.Elif(push | pop):"),
        ("getattr(source, queue.push_flag)", "source.push_next"),
        ("push | (count != 1)", "push | (count > 2)"),
        ("[count.eq(0), nonzero", "[count.eq(push), nonzero"),
    ],
    ids=["last-token-stays", "push-lost-at-pop", "wrong-side", "one-is-none", "clear-keeps"],
)  # fmt: skip
def test_broken_queues_are_found(old, new):
    refute(TokensConserved(mutant(token_queues, old, new).TokenQueues()), depth=6)
