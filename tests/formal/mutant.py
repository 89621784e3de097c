"""Blocks that are broken on purpose, to show that a proof can fail."""

import inspect
from types import ModuleType

__all__ = ["mutant"]


def mutant(module: ModuleType, old: str, new: str) -> ModuleType:
    """A copy of ``module`` in whose source ``old``, which must occur once, is ``new``."""
    source = inspect.getsource(module)
    found = source.count(old)
    if found != 1:
        raise ValueError(f"{module.__name__} must hold {old!r} once to be broken; got {found}")
    broken = ModuleType(module.__name__)
    code = compile(source.replace(old, new), f"{module.__file__} (broken)", "exec")
    exec(code, broken.__dict__)
    return broken
