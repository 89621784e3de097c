"""The registers inside a block, by name, for the invariants that an induction needs.

A block is elaborated once, and its fragment takes its place in the design; so nothing is added to
the block itself.
"""

from amaranth.hdl import Const, Elaboratable, Fragment, MemoryInstance, Signal

__all__ = ["Inside"]


class Inside:
    """What ``block`` became: ``fragment`` goes into the design, ``inside["reader0.left"]`` is the
    signal ``left`` of its submodule ``reader0``. A name that does not exist raises KeyError."""

    def __init__(self, block: Elaboratable) -> None:
        self.fragment = Fragment.get(block, None)
        self._signals: dict[str, Signal] = {}
        self._memories: dict[str, MemoryInstance] = {}
        self._collect(self.fragment, "")

    def _collect(self, fragment: Fragment, prefix: str) -> None:
        for statements in fragment.statements.values():
            for signal in statements._lhs_signals():
                self._signals.setdefault(prefix + signal.name, signal)
        if isinstance(fragment, MemoryInstance):
            self._memories[prefix.rstrip(".")] = fragment
        for child, name, _ in fragment.subfragments:
            self._collect(child, f"{prefix}{name}.")

    def __getitem__(self, path: str) -> Signal:
        if path not in self._signals:
            raise KeyError(f"no signal {path!r}; there are: {', '.join(sorted(self._signals))}")
        return self._signals[path]

    def look(self, memory: str, addr: Signal, data: Signal) -> None:
        """Let ``data`` be, in every cycle, the word at ``addr`` of a memory inside."""
        self._memories[memory].read_port(
            domain="comb", addr=addr, data=data, en=Const(1), transparent_for=()
        )
