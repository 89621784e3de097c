"""The registers inside a block, by name, for the invariants that an induction needs.

A block is elaborated once, and its fragment takes its place in the design; so nothing is added to
the block itself.
"""

from amaranth.hdl import Elaboratable, Fragment, Signal

__all__ = ["Inside"]


class Inside:
    """What ``block`` became: ``fragment`` goes into the design, ``inside["reader0.left"]`` is the
    signal ``left`` of its submodule ``reader0``. A name that does not exist raises KeyError."""

    def __init__(self, block: Elaboratable) -> None:
        self.fragment = Fragment.get(block, None)
        self._signals: dict[str, Signal] = {}
        self._collect(self.fragment, "")

    def _collect(self, fragment: Fragment, prefix: str) -> None:
        for statements in fragment.statements.values():
            for signal in statements._lhs_signals():
                self._signals.setdefault(prefix + signal.name, signal)
        for child, name, _ in fragment.subfragments:
            self._collect(child, f"{prefix}{name}.")

    def __getitem__(self, path: str) -> Signal:
        if path not in self._signals:
            raise KeyError(f"no signal {path!r}; there are: {', '.join(sorted(self._signals))}")
        return self._signals[path]
