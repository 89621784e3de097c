"""The page on the options of every command, from the parsers of :mod:`vta.cli`."""

from __future__ import annotations

import re

import click

from docs.site.markdown import table
from vta.cli import main

__all__ = ["page"]

HEAD = """# Commands and options

% Generated from vta/cli.

`vta -h` lists the commands, `vta COMMAND -h` the options of one. Examples with what they print are
on [the page on the command line](../tools/command-line.md).

"""


def page() -> str:
    """The page in Markdown."""
    out = HEAD
    context = click.Context(main, info_name="vta", **main.context_settings)
    for name in sorted(main.commands):
        out += _command(main.commands[name], click.Context(
            main.commands[name], info_name=name, parent=context
        ))  # fmt: skip
    return out


def _command(command: click.Command, context: click.Context) -> str:
    usage = command.get_usage(context).removeprefix("Usage: ")
    about = _as_markdown(command.help or "")
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and record[1] and "--help" not in record[0]:
            rows.append([f"`{record[0]}`", _as_markdown(record[1])])
    options = "\n" + table(["option", "what"], rows) if rows else ""
    usage = " ".join(usage.split())
    return f"## vta {command.name}\n```text\n{usage}\n```\n{about}\n{options}\n"


def _as_markdown(text: str) -> str:
    """Help as Markdown: angle brackets and asterisks are escaped outside of code, a form feed or a
    backspace of click's is dropped."""
    text = "\n".join(line.strip() for line in text.replace("\b", "").split("\f")[0].splitlines())
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([<>*_\[\]])", r"\\\1", part) for part in parts
    )
