"""The log of schedules: one SQLite file, which also has the trials of every search.

An entry is the best schedule of a workload on a machine with a memory preset. It was stored after
its result was compared with NumPy. The tables of the trials are those of
:mod:`vta.tuning.trial_store`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from vta.compiler.ops.cost import Tiling
from vta.compiler.ops.tiling import require_fit
from vta.compiler.ops.tiling_source import tilings_from
from vta.config import KEYS, MICROARCHITECTURE, VTAConfig
from vta.config_file import shown
from vta.errors import ConfigError, OperatorError, TuningError
from vta.memory_timing import PRESETS as MEMORIES
from vta.targets import TARGETS
from vta.tuning.log_file import transaction
from vta.tuning.trial_store import TRIAL_TABLES
from vta.tuning.workload import Workload

if TYPE_CHECKING:
    from vta.compiler.ops.conv_shape import ConvShape
    from vta.compiler.ops.requantise import Requantise
    from vta.compiler.ops.residual import Residual

__all__ = [
    "FORMAT", "Entry", "LoggedTilings", "ScheduleLog", "machine_key", "tuned", "user_log",
]  # fmt: skip

FORMAT = 2
"""Of the files that are written. Format 1 has keys of machines without the micro-architecture."""
READABLE = (1, FORMAT)
_TABLES = (
    "CREATE TABLE vta_log (format INTEGER NOT NULL)",
    # The column `fingerprint` is machine_key().
    """CREATE TABLE vta_schedules (
        fingerprint TEXT NOT NULL, memory TEXT NOT NULL, workload TEXT NOT NULL,
        machine TEXT NOT NULL, tiling TEXT NOT NULL, cycles INTEGER NOT NULL,
        default_cycles INTEGER NOT NULL, device TEXT NOT NULL, version TEXT NOT NULL,
        seed INTEGER NOT NULL, trials INTEGER NOT NULL,
        PRIMARY KEY (fingerprint, memory, workload)
    )""",
)

LATER_KEYS = ("LOG_ALU_BEATS", "LOAD_ENGINES", "ERROR_DETAIL", "ALU_MULTIPLIER")
"""Keys of the micro-architecture that logs of format 2 from before the key do not have: their
machines have its default."""


@dataclass(frozen=True)
class Entry:
    """A schedule of the log.

    Attributes
    ----------
    machine : VTAConfig
    memory : str
        The memory preset that cycles were measured with.
    workload : Workload
    tiling : Tiling
    cycles, default_cycles : int
        Of the schedule and of the tiler's, measured on ``device``.
    device : str
        ``tsim``, or a board.
    version : str
        Of the package and its sources.
    seed, trials : int
        Of the search.
    """

    machine: VTAConfig
    memory: str
    workload: Workload
    tiling: Tiling
    cycles: int
    default_cycles: int
    device: str
    version: str
    seed: int
    trials: int

    @property
    def gain(self) -> float:
        """The share of the cycles of the tiler's schedule that is saved."""
        return 1 - self.cycles / self.default_cycles

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            **values,
            "fingerprint": machine_key(self.machine),
            "machine": self.machine.to_dict(),
            "workload": self.workload.to_dict(),
            "tiling": self.tiling.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Any) -> Entry:
        """The entry of :meth:`to_dict`.

        Raises
        ------
        TuningError
            If the values are no entry, the key of the machine is that of another machine, or the
            tiling exceeds the machine's memories.
        """
        try:
            numbers: dict[str, Any] = {
                name: _number(values[name], name, least) for name, least in _LEAST.items()
            }
            texts: dict[str, Any] = {
                name: _text(values[name], name, allowed) for name, allowed in _TEXTS.items()
            }
            machine = VTAConfig.from_dict(values["machine"])
            found = values["fingerprint"]
            if found not in (machine_key(machine), _first_key(machine)):
                raise ValueError(f"the entry is for {found}, its machine is {machine_key(machine)}")
            workload = Workload.from_dict(values["workload"])
            tiling = Tiling.from_dict(values["tiling"])
            require_fit("schedule", workload.shape, tiling, machine)
        except (KeyError, TypeError, AttributeError) as error:
            raise TuningError(f"no entry of a log of schedules: {error!r}") from None
        except (ValueError, ConfigError, OperatorError) as error:
            raise TuningError(f"no entry of a log of schedules: {error}") from None
        return cls(machine=machine, workload=workload, tiling=tiling, **numbers, **texts)


_LEAST = {"cycles": 1, "default_cycles": 1, "seed": 0, "trials": 1}
_TEXTS = {"memory": tuple(MEMORIES), "device": TARGETS, "version": ()}
"""Texts of an entry, each with the values that it can have; none: any."""


def _number(value: Any, name: str, least: int) -> int:
    if type(value) is not int or not least <= value < 1 << 63:
        raise ValueError(f"{name} is {shown(value)}; must be an integer of at least {least}")
    return value


def _text(value: Any, name: str, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or (allowed and value not in allowed):
        raise ValueError(f"{name} is {shown(value)}; must be {' or '.join(allowed) or 'a text'}")
    return value


def machine_key(cfg: VTAConfig) -> str:
    """The machine with all that cycles depend on: fingerprint, bus width, extension, and the
    numbers of :data:`vta.config.MICROARCHITECTURE` in that order. Those of :data:`LATER_KEYS` are
    behind the others, by name, and only if they are not the default."""
    numbers = ".".join(
        str(getattr(cfg, name.lower())) for name in MICROARCHITECTURE if name not in LATER_KEYS
    )
    later = (
        f"_{name.lower()}{getattr(cfg, name.lower())}"
        for name in LATER_KEYS
        if getattr(cfg, name.lower()) != KEYS[name][2]
    )
    return f"{_first_key(cfg)}_micro{numbers}{''.join(later)}"


def _first_key(cfg: VTAConfig) -> str:
    """The key of a machine in format 1. Entries of that format without a number of the
    micro-architecture were measured on its default, which was then the only one."""
    extension = "extended" if cfg.extension else "base"
    return f"{cfg.fingerprint}_{cfg.bus_bits}bit_{extension}"


def user_log() -> Path:
    """The log of the user, which is taken where none is named."""
    return platformdirs.user_data_path("vta", appauthor=False) / "schedules.sqlite"


class ScheduleLog:
    """A file of schedules.

    Parameters
    ----------
    path : path
    create : bool
        Whether a file that is missing is made; else it is an error.

    Raises
    ------
    TuningError
        If the file is missing, damaged, of another program or of a newer version, or cannot be
        written.
    """

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        self.path = Path(path)
        if not create and not self.path.is_file():
            raise TuningError(f"{self.path}: no such log of schedules; `vta tune` makes one")
        with transaction(self.path, write=create) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            if "vta_log" not in tables:
                if tables or not create:
                    raise TuningError(
                        f"{self.path} is a database of another program, not a log of schedules"
                    )
                for statement in (*_TABLES, *TRIAL_TABLES):
                    database.execute(statement)
                database.execute("INSERT INTO vta_log VALUES (?)", (FORMAT,))
            (found,) = database.execute("SELECT format FROM vta_log").fetchone() or (None,)
            if found not in READABLE:
                raise TuningError(
                    f"{self.path}: the log has format {found}; this version reads "
                    + " and ".join(map(str, READABLE))
                )
            if create:
                self._convert(database)

    def _convert(self, database: sqlite3.Connection) -> None:
        """Make a file of format 1 one of today's: its keys get the micro-architecture of their
        machines, which the entries have."""
        (found,) = database.execute("SELECT format FROM vta_log").fetchone()
        if found == FORMAT:
            return
        rows = database.execute("SELECT rowid, machine FROM vta_schedules").fetchall()
        try:
            keys = [(machine_key(VTAConfig.from_dict(json.loads(m))), row) for row, m in rows]
        except (ValueError, TypeError, ConfigError) as error:
            raise TuningError(f"log of schedules {self.path}: {error}") from None
        database.executemany("UPDATE vta_schedules SET fingerprint = ? WHERE rowid = ?", keys)
        for statement in TRIAL_TABLES:
            database.execute(statement)
        database.execute("UPDATE vta_log SET format = ?", (FORMAT,))

    def entries(self, cfg: VTAConfig | None = None, memory: str | None = None) -> list[Entry]:
        """The schedules in the log, of all machines and memories or of those given, in order of
        their keys.

        Raises
        ------
        TuningError
            If the file is damaged.
        """
        text = f"SELECT {', '.join(_COLUMNS)} FROM vta_schedules WHERE 1"
        values: list[str] = []
        if cfg is not None:
            text, values = f"{text} AND fingerprint IN (?, ?)", [machine_key(cfg), _first_key(cfg)]
        if memory is not None:
            text, values = f"{text} AND memory = ?", [*values, memory]
        with transaction(self.path, write=False) as database:
            rows = database.execute(
                f"{text} ORDER BY fingerprint, memory, workload", values
            ).fetchall()
        found = [self._entry(row) for row in rows]
        return [
            each for each in found if cfg is None or machine_key(each.machine) == machine_key(cfg)
        ]

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        values = dict(zip(_COLUMNS, row))
        try:
            for name in ("machine", "workload", "tiling"):
                values[name] = json.loads(values[name])
            return Entry.from_dict(values)
        except (ValueError, TypeError, RecursionError, TuningError) as error:
            raise TuningError(f"log of schedules {self.path}: {error}") from None

    def add(self, entries: Iterable[Entry]) -> int:
        """Store entries, all or none; of two for the same key the one with fewer cycles stays.

        Returns how many were stored.

        Raises
        ------
        TuningError
            If the file cannot be written; it is then as it was.
        """
        stored = 0
        with transaction(self.path, write=True) as database:
            self._convert(database)
            for entry in entries:
                values = entry.to_dict()
                row = [
                    json.dumps(value, sort_keys=True, separators=(",", ":"))
                    if isinstance(value, dict)
                    else value
                    for value in (values[name] for name in _COLUMNS)
                ]
                marks = ", ".join("?" * len(row))
                stored += database.execute(
                    f"INSERT INTO vta_schedules ({', '.join(_COLUMNS)}) VALUES ({marks}) "
                    "ON CONFLICT DO UPDATE SET "
                    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
                    + " WHERE excluded.cycles < cycles",
                    row,
                ).rowcount
        return stored

    def export(self) -> str:
        """The log as JSON, a line for each entry."""
        return "".join(
            json.dumps(entry.to_dict(), sort_keys=True) + "\n" for entry in self.entries()
        )

    def merge(self, path: str | Path) -> int:
        """Add the entries of another log, or of a file of :meth:`export`; returns how many were
        better than what there was, or new.

        Raises
        ------
        TuningError
            If the file is neither; nothing is added then.
        """
        other = Path(path)
        try:
            with other.open("rb") as file:
                is_database = file.read(16) == b"SQLite format 3\0"
            if is_database:
                return self.add(ScheduleLog(other).entries())
            lines = other.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise TuningError(f"cannot read {other}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise TuningError(f"{other} is neither a log of schedules nor JSON lines") from None
        entries = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                entries.append(Entry.from_dict(json.loads(line)))
            except (ValueError, RecursionError, TuningError) as error:
                raise TuningError(f"{other}, line {number}: {error}") from None
        return self.add(entries)

    def tilings(self, cfg: VTAConfig, memory: str = "ideal") -> LoggedTilings:
        """The tilings for a machine and a memory preset, for :func:`tuned` and
        :func:`vta.networks.compile_model`.

        Raises
        ------
        TuningError
            If the file is damaged, or has no schedule for this machine and memory.
        """
        entries = self.entries(cfg, memory)
        if not entries:
            others = sorted({(machine_key(e.machine), e.memory) for e in self.entries()})
            raise TuningError(
                f"{self.path} has no schedule for the machine {machine_key(cfg)} and the memory "
                f"{memory}; it has schedules for "
                + (", ".join(f"{key} and {name}" for key, name in others) or "none")
            )
        entries = sorted(entries, key=lambda entry: -entry.cycles)  # the fastest one stays
        return LoggedTilings(machine_key(cfg), {e.workload.key: e.tiling for e in entries})


@dataclass(frozen=True)
class LoggedTilings:
    """Tilings by workload; a :class:`~vta.compiler.ops.tiling_source.TilingSource`.

    Attributes
    ----------
    machine : str
        The only machine that gets any.
    known : mapping of str to Tiling
        By the key of the workload.
    """

    machine: str
    known: Mapping[str, Tiling]

    def __call__(
        self, shape: ConvShape, requantise: Requantise, cfg: VTAConfig, residual: Residual | None
    ) -> Tiling | None:
        """The tiling of an operator; None if there is none."""
        workload = Workload.of(shape, requantise, residual)
        if workload is None or machine_key(cfg) != self.machine:
            return None
        return self.known.get(workload.key)

    @property
    def digest(self) -> str:
        """A hash of all tilings: programs depend on these."""
        text = [[key, tiling.to_dict()] for key, tiling in sorted(self.known.items())]
        return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()


_COLUMNS = ("fingerprint", *(f.name for f in fields(Entry)))


def tuned(log: ScheduleLog, cfg: VTAConfig, memory: str = "ideal") -> AbstractContextManager[None]:
    """Operators that are made inside ``with tuned(log, cfg):`` have the schedules of a log.

    Parameters
    ----------
    log : ScheduleLog
    cfg : VTAConfig
        The machine.
    memory : str
        The memory preset that the schedules were searched for.

    Raises
    ------
    TuningError
        As :meth:`ScheduleLog.tilings`.
    """
    return tilings_from(log.tilings(cfg, memory))
