"""The SQLite file of the log of schedules: one transaction on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vta.errors import TuningError

__all__ = ["transaction"]

BUSY_SECONDS = 60
"""A search waits so long for another one that writes the same file."""


@contextmanager
def transaction(path: Path, *, write: bool) -> Iterator[sqlite3.Connection]:
    """A connection on which all statements inside are done, or none.

    Parameters
    ----------
    path : Path
    write : bool
        Whether statements write. Others then wait from the beginning, as two that have read cannot
        both write.

    Raises
    ------
    TuningError
        If the file cannot be opened, read or written; it is then as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(path, timeout=BUSY_SECONDS)
    except (OSError, sqlite3.Error) as error:
        raise TuningError(f"cannot open {path}: {error}") from None
    try:
        with database:
            database.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield database
    except sqlite3.Error as error:
        raise TuningError(f"log of schedules {path}: {error}") from None
    finally:
        database.close()
