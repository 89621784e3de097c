"""The kernel of the timing model: interpreted, or compiled by Numba where that is installed.

Both are the same functions. The first compilation takes half a minute and is kept in the user's
cache folder, under a hash of the functions' sources; later processes load the result in a second.
So a process begins interpreted, and changes once it has estimated so many instructions that this
second is worth its while. One process compiles; others stay interpreted until it is done.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
from functools import cache
from inspect import getmodule, isfunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from vta.cache import cache_folder, make_writable
from vta.sim.timing import (
    kernel,
    kernel_alu,
    kernel_bus,
    kernel_compute,
    kernel_dma,
    kernel_modules,
    kernel_retire,
    state,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.sim.timing.state import State

__all__ = [
    "INTERPRETED_INSTRUCTIONS", "compiled_run", "has_compiler", "interpreted_run", "run",
]  # fmt: skip

INTERPRETED_INSTRUCTIONS = 40_000
"""Instructions that a process estimates interpreted, about two seconds, before it compiles."""
LOADED_INSTRUCTIONS = 5_000
"""The same, about half a second, where the compiled kernel is kept."""

_MODULES = (
    kernel, kernel_alu, kernel_bus, kernel_compute, kernel_dma, kernel_modules, kernel_retire,
)  # fmt: skip
_estimated = 0


def run(s: State) -> State:
    """Run the kernel from a state; returns the state at the end."""
    global _estimated
    _estimated += s.k.count
    if has_compiler() and _estimated > (
        LOADED_INSTRUCTIONS if _kept().exists() else INTERPRETED_INSTRUCTIONS
    ):
        try:
            return compiled_run(s, wait=False)
        except filelock.Timeout:
            pass
    return interpreted_run(s)


@cache
def has_compiler() -> bool:
    """Whether Numba is installed."""
    return importlib.util.find_spec("numba") is not None


def interpreted_run(s: State) -> State:
    """As :func:`run`, over lists: an element of an array costs the interpreter more."""
    lists = s._replace(**{
        name: getattr(s, name).tolist() for name in s._fields if name != "k"
    })  # fmt: skip
    kernel.run(lists)
    return lists


def compiled_run(s: State, *, wait: bool = True) -> State:
    """As :func:`run`, by Numba.

    Parameters
    ----------
    s : State
    wait : bool
        Whether to wait for another process that compiles the kernel.

    Raises
    ------
    filelock.Timeout
        If another process compiles the kernel, and ``wait`` is false.
    """
    kept = _kept()
    if kept.exists():
        _compiled()(s)
        return s
    with filelock.FileLock(_folder() / "lock").acquire(timeout=-1 if wait else 0):
        _compiled()(s)
        kept.touch()
    return s


def _kept() -> Path:
    """The file that is there when the compiled kernel is complete."""
    return _folder() / "compiled"


@cache
def _folder() -> Path:
    """Where the compiled kernel is kept."""
    digest = hashlib.sha256(importlib.metadata.version("numba").encode())
    for file in (*(module.__file__ for module in (*_MODULES, state)), __file__):
        digest.update(Path(str(file)).read_bytes())
    folder = cache_folder("timing") / digest.hexdigest()[:16]
    make_writable(folder)
    return folder


@cache
def _compiled() -> Callable[[State], None]:
    numba: Any = importlib.import_module("numba")
    register_jitable: Any = importlib.import_module("numba.extending").register_jitable

    for module in _MODULES:
        for function in vars(module).values():
            if isfunction(function) and getmodule(function) is module:
                register_jitable(function)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_folder())
    try:
        # Without reference counts, which are nine tenths of the time: the kernel allocates nothing,
        # and its caller holds the arrays.
        compiled: Any = numba.njit(cache=True, _nrt=False)(kernel.run)
    finally:
        numba.config.CACHE_DIR = before
    return compiled  # type: ignore[no-any-return]
