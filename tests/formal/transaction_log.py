"""A transaction log of the contents of a queue, which its properties are compared with."""

from amaranth.hdl import Module, Signal, Value

__all__ = ["keep_log"]


def keep_log(
    m: Module, item: Value, *, depth: int, enqueue, dequeue
) -> tuple[list[Signal], Signal]:
    """The items in a queue, the oldest first, and their number.

    Parameters
    ----------
    item : Value
        The item that enters in a cycle with ``enqueue``; the oldest one leaves in a cycle with
        ``dequeue``.
    depth : int
        Largest number of items. The list has one entry more, for the shift.
    """
    entries = [Signal(len(item), name=f"entry{n}") for n in range(depth + 1)]
    level = Signal(range(depth + 1))
    m.d.sync += level.eq(level + enqueue - dequeue)
    for n in range(depth):
        with m.If(dequeue):
            m.d.sync += entries[n].eq(entries[n + 1])
        with m.If(enqueue & (level - dequeue == n)):
            m.d.sync += entries[n].eq(item)
    return entries, level
