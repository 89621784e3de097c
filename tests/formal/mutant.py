"""Blocks that are broken on purpose, to show that a proof can fail, and blocks that are smaller
than the real ones, where a proof of those would take too long."""

import inspect
from types import ModuleType

__all__ = ["mutant", "shrunk"]


def mutant(module: ModuleType, old: str, new: str, **names: object) -> ModuleType:
    """A copy of ``module`` in whose source ``old``, which must occur once, is ``new``; ``names``
    as in :func:`shrunk`."""
    source = _source(module)
    found = source.count(old)
    if found != 1:
        raise ValueError(f"{module.__name__} must hold {old!r} once to be broken; got {found}")
    return _load(module, source.replace(old, new), names)


def shrunk(module: ModuleType, **names: object) -> ModuleType:
    """A copy of ``module`` where the constants, or imported classes, ``names`` are others."""
    return _load(module, _source(module), names)


def _source(module: ModuleType) -> str:
    """The source of a module, or of a copy made here."""
    return vars(module).get("__source__") or inspect.getsource(module)


def _load(module: ModuleType, source: str, names: dict[str, object]) -> ModuleType:
    copy = ModuleType(module.__name__)
    copy.__package__, copy.__file__ = module.__package__, module.__file__
    vars(copy)["__source__"] = source
    exec(compile(source, f"{module.__file__} (copy)", "exec"), copy.__dict__)
    for name, value in names.items():
        if not hasattr(module, name):
            raise ValueError(f"{module.__name__} has no {name} to change")
        setattr(copy, name, value)
    return copy
