"""A space of machines, as people write it: a YAML file.

::

    part: XC7Z020                  # or a board
    base: default                  # a preset, or a vta_config.json beside this file
    memory: [ideal, ddr]           # presets of the DRAM
    machine:                       # keys of vta_config.json; every combination is a machine
      LOG_BLOCK: [3, 4]
      LOG_WGT_BUFF_SIZE: [17, 18]
      EXTENSION: [0, 1]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from vta.config import KEYS, PRESETS, VTAConfig
from vta.errors import ConfigError, TuningError
from vta.extras import importing
from vta.memory_timing import PRESETS as MEMORIES

__all__ = ["MachineSpace", "Refused"]

MOST_MACHINES = 4096
"""Combinations of a space: each takes minutes of synthesis."""
_ENTRIES = ("part", "base", "memory", "machine")


@dataclass(frozen=True)
class Refused:
    """A combination of keys that is no machine, and why."""

    keys: Mapping[str, int]
    why: str


@dataclass(frozen=True)
class MachineSpace:
    """Machines to compare.

    Attributes
    ----------
    part : str
        A part number or a board.
    base : VTAConfig
        What the keys that are not varied are taken from.
    memories : tuple of str
        Memory presets.
    values : mapping of str to tuple of int
        Of each key that is varied.
    """

    part: str
    base: VTAConfig
    memories: tuple[str, ...]
    values: Mapping[str, tuple[int, ...]]

    @classmethod
    def from_file(cls, path: str | Path) -> MachineSpace:
        """The space in a file.

        Raises
        ------
        TuningError
            If the file is no space; the message names the entry, what it is and what it must be.
        ToolError
            If PyYAML is not installed.
        """
        with importing("a space of machines", "tune"):
            import yaml
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            _require_unique_keys(yaml.compose(text, Loader=yaml.SafeLoader), path)
            found = yaml.safe_load(text)
        except OSError as error:
            raise TuningError(f"cannot read {path}: {error.strerror}") from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise TuningError(f"{path} is no YAML: line {line}: {error.problem}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise TuningError(f"{path} is no YAML: {error}") from None
        return cls.from_dict(found, path)

    @classmethod
    def from_dict(cls, found: Any, path: Path) -> MachineSpace:
        """The space in the contents of a file, whose ``path`` is for messages.

        Raises
        ------
        TuningError
            As :meth:`from_file`.
        """
        if not isinstance(found, dict) or not set(found) <= set(_ENTRIES):
            got = ", ".join(map(str, found)) if isinstance(found, dict) else repr(found)
            raise TuningError(f"{path}: entries are {got}; must be of {', '.join(_ENTRIES)}")
        for entry in ("part", "machine"):
            if entry not in found:
                raise TuningError(f"{path}: no entry {entry!r}")
        machine = found["machine"]
        if not isinstance(machine, dict) or not machine:
            raise TuningError(f"{path}: machine is {machine!r}; must map keys to lists of numbers")
        values = {}
        for key, listed in machine.items():
            if key not in KEYS:
                raise TuningError(f"{path}: machine has {key!r}; keys are {', '.join(KEYS)}")
            numbers = listed if isinstance(listed, list) else [listed]
            if not numbers or not all(type(number) is int for number in numbers):
                raise TuningError(f"{path}: {key} is {listed!r}; must be a list of integers")
            values[key] = tuple(dict.fromkeys(numbers))
        memories = found.get("memory", "ideal")
        memories = memories if isinstance(memories, list) else [memories]
        for memory in memories:
            if not isinstance(memory, str) or memory not in MEMORIES:
                raise TuningError(f"{path}: memory {memory!r}; presets are {', '.join(MEMORIES)}")
        if not memories:
            raise TuningError(f"{path}: memory is empty; presets are {', '.join(MEMORIES)}")
        for entry in ("part", "base"):
            if not isinstance(found.get(entry, ""), str):
                raise TuningError(f"{path}: {entry} is {found[entry]!r}; must be a name")
        base = found.get("base", "default")
        try:
            cfg = (
                VTAConfig.preset(base)
                if base in PRESETS
                else VTAConfig.from_file(path.parent / base)
            )
        except (ConfigError, OSError) as error:
            raise TuningError(f"{path}: base {base}: {error}") from None
        space = cls(found["part"], cfg, tuple(dict.fromkeys(memories)), values)
        if len(space) > MOST_MACHINES:
            raise TuningError(
                f"{path}: {len(space):,} combinations of keys; at most {MOST_MACHINES:,}"
            )
        return space

    def __len__(self) -> int:
        """Combinations, those that are no machine among them."""
        return prod(len(numbers) for numbers in self.values.values())

    def machines(self) -> Iterator[VTAConfig | Refused]:
        """Each combination in order: a machine, or why it is none."""
        for combination in product(*self.values.values()):
            keys = dict(zip(self.values, combination))
            try:
                yield self.base.replace(**{key.lower(): value for key, value in keys.items()})
            except ConfigError as error:
                yield Refused(keys, str(error))

    @property
    def varied_keys(self) -> list[str]:
        """The keys that have more than one value."""
        return [key for key, numbers in self.values.items() if len(numbers) > 1]

    def varied(self, cfg: VTAConfig) -> dict[str, int]:
        """The keys of a machine that this space varies, and their values."""
        all_keys: Mapping[str, Any] = cfg.to_dict()
        return {key: int(all_keys[key]) for key in self.values}


def _require_unique_keys(root: Any, path: Path) -> None:
    """Refuse an entry that is there twice: YAML would take the last one."""
    from yaml import MappingNode

    inner = [value for _, value in root.value] if isinstance(root, MappingNode) else []
    for node in (root, *inner):
        if not isinstance(node, MappingNode):
            continue
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise TuningError(f"{path}, line {key.start_mark.line + 1}: {name} is there twice")
            seen.add(name)
