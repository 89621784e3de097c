"""Signals inside a design by their path: for proofs, and for builds that measure coverage.

A design is elaborated once. Its fragment becomes a submodule of a larger design, where the signals
can be read: nothing is added to the design itself.
"""

from amaranth.hdl import Const, Elaboratable, Fragment, MemoryInstance, Signal

__all__ = ["SignalPaths"]


class SignalPaths:
    """The signals of an elaborated design.

    ``paths["reader0.credits"]`` is the signal ``credits`` that the submodule ``reader0`` drives.

    Parameters
    ----------
    design : Elaboratable
        The design.

    Attributes
    ----------
    fragment : Fragment
        The elaborated design, to be a submodule of the larger design.

    Raises
    ------
    KeyError
        If no signal, or more than one signal, has the path.
    """

    def __init__(self, design: Elaboratable) -> None:
        self.fragment = Fragment.get(design, None)
        self._signals: dict[str, Signal] = {}
        self._ambiguous: set[str] = set()
        self._memories: dict[str, MemoryInstance] = {}
        self._collect(self.fragment, "")

    def _collect(self, fragment: Fragment, prefix: str) -> None:
        for statements in fragment.statements.values():
            for signal in statements._lhs_signals():
                path = prefix + signal.name
                if self._signals.setdefault(path, signal) is not signal:
                    self._ambiguous.add(path)
        if isinstance(fragment, MemoryInstance):
            self._memories[prefix.rstrip(".")] = fragment
        for child, name, _ in fragment.subfragments:
            self._collect(child, f"{prefix}{name}.")

    def __getitem__(self, path: str) -> Signal:
        if path in self._ambiguous:
            raise KeyError(f"two signals are called {path!r}")
        if path not in self._signals:
            scope = path.rpartition(".")[0]
            siblings = [name for name in self._signals if name.rpartition(".")[0] == scope]
            raise KeyError(
                f"no signal {path!r}; beside it: {', '.join(sorted(siblings)) or 'none'}"
            )
        return self._signals[path]

    def probe_memory(self, memory: str, addr: Signal, data: Signal) -> None:
        """Drive ``data`` with the word at ``addr`` of the memory with this path, in every cycle."""
        self._memories[memory].read_port(
            domain="comb", addr=addr, data=data, en=Const(1), transparent_for=()
        )
