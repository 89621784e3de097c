"""What is in a queue, written down beside it: the ledger that its properties are compared with."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["keep_ledger"]


def keep_ledger(m: Module, item: Value, *, depth: int, comes, goes) -> tuple[list[Signal], Signal]:
    """The items inside, the oldest first, and how many they are.

    Parameters
    ----------
    item : Value
        What comes in a cycle of ``comes``; in a cycle of ``goes`` the oldest one goes.
    depth : int
        Items that there may be. The list has a place more, for what moves up.
    """
    entries = [Signal(len(item), name=f"entry{n}") for n in range(depth + 1)]
    level = Signal(range(depth + 1))
    m.d.sync += level.eq(level + comes - goes)
    for n in range(depth):
        with m.If(goes):
            m.d.sync += entries[n].eq(entries[n + 1])
        with m.If(comes & (level - goes == n)):
            m.d.sync += entries[n].eq(item)
    return entries, level
