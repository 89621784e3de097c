"""Reads the JSON object in a vta_config.json, whatever the file holds, and knows the keys of older
ones."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vta.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_values", "shown", "unknown_key"]

MAX_BYTES = 1 << 16
"""Size of a file, a hundred times what a configuration needs."""
MAX_SHOWN = 60
"""Characters of a text from outside that a message shows."""

_NOT_HERE = "leave it out"
_BLOCK = "LOG_BLOCK gives both extents of a product, which are equal"
_CLOCK = f"the clock belongs to a bitstream, `make bitstream MHZ=`; {_NOT_HERE}"
OLD_KEYS = {
    "LOG_BLOCK_IN": _BLOCK,
    "LOG_BLOCK_OUT": _BLOCK,
    "LOG_OUT_WIDTH": f"outputs are as wide as inputs, LOG_INP_WIDTH; {_NOT_HERE}",
    "LOG_OUT_BUFF_SIZE": f"the size follows from LOG_ACC_BUFF_SIZE and the widths; {_NOT_HERE}",
    "HW_FREQ": _CLOCK,
    "HW_CLK_TARGET": _CLOCK,
    "HW_CLK_IDX": _CLOCK,
    "GEMM_II": f"GEMM takes a product every cycle; {_NOT_HERE}",
    "TALU_II": f"the ALU takes a vector every cycle; {_NOT_HERE}",
    "VERBOSE": f"no command reads it; {_NOT_HERE}",
}
"""Keys of the original VTA's configuration files that this machine does not have, and what to write
instead."""


def read_values(path: Path) -> dict[str, Any]:
    """The keys and values in a file.

    Raises
    ------
    ConfigError
        If the file cannot be read, is larger than :data:`MAX_BYTES`, is not JSON, holds no object
        or gives a key twice.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError(f"{path} has more than {MAX_BYTES} bytes; is it a configuration?")
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {error}") from None
    try:
        values = json.loads(text, object_pairs_hook=_no_duplicates)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: lists and objects are nested too deeply") from None
    except ValueError:  # of int(): the only value that JSON has and Python's reader has not
        raise ConfigError(f"{path}: a number has thousands of digits") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a JSON object, got {type(values).__name__}")
    return values


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ConfigError(f"key {shown(key)} is given twice")
        values[key] = value
    return values


def unknown_key(key: str, known: Sequence[str]) -> str:
    """The message about a key that is none: what took its place, or which key is meant."""
    if key.upper() in OLD_KEYS:
        return f"unknown key {shown(key)}: {OLD_KEYS[key.upper()]}"
    close = difflib.get_close_matches(key[:MAX_SHOWN].upper(), known, 1)
    meant = f" (is {close[0]} meant?)" if close else ""
    return f"unknown key {shown(key)}{meant}; known keys are {', '.join(known)}"


def shown(value: object) -> str:
    """A value of a file in a message: printable, and not all of a long one."""
    try:
        text = ascii(value) if isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):  # an integer of too many digits, a value nested too deeply
        return f"a value of type {type(value).__name__} that is too large to show"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]} ..."
