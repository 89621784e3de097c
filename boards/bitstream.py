"""Makes the bitstream of a board, or everything up to the vendor's tool.

    python -m vta.boards.bitstream BOARD [--preset NAME | --config FILE] [--mhz CLOCK] [-o DIR]

Writes RTL, constraints and project into build/BOARD, checks what can be checked with open tools,
runs the toolchain if it is on PATH, reads its timing report and writes a ``.vtabit`` file for
``vta.program_fpga``. Without the toolchain it ends with an error that says what to run elsewhere;
``--collect`` then makes the ``.vtabit`` of what the toolchain left in the folder.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vta.bitstream import SUFFIX, Bitstream
from vta.cache import prepare_builtin_yosys
from vta.config import PRESETS, VTAConfig
from vta.errors import ConfigError, ToolError, VTAError
from vta.extras import importing
from vta.output import reported_output

with importing("a bitstream", "synth", script=__name__ == "__main__"):
    from vta.boards.board import Board, find_board
    from vta.boards.toolchains.toolchain import TOP, Built, Check, CheckError, Design
    from vta.hw.emit import tidied

__all__ = ["build", "check", "collect", "design_of", "write"]

SLOWEST_HZ, FASTEST_HZ = 1_000_000, 1_000_000_000
"""What may be asked for; what can be reached is for the toolchain to say."""

CONFIG_FILE = "vta_config.json"
"""The configuration of the machine, for the programs that will run on it."""

_NOT_WRITTEN = (f"build_{TOP}.bat", f"build_{TOP}.json", f"{TOP}.debug.v")
"""Files that Amaranth's platforms make of every design and that are not used here."""


def design_of(board: Board, cfg: VTAConfig | None = None, clock_hz: int | None = None) -> Design:
    """The machine ``cfg`` in the shell of ``board``; the board's own machine and clock by default.

    Raises
    ------
    ConfigError
        If the board cannot have that machine, or the clock is none.
    ToolError
        If Yosys has no folder for what it makes at its first call.
    """
    cfg = board.config if cfg is None else cfg.replace(target=board.driver)
    clock_hz = board.clock_hz if clock_hz is None else clock_hz
    board.accept(cfg)
    if not SLOWEST_HZ <= clock_hz <= FASTEST_HZ:
        raise ConfigError(
            f"the clock is {clock_hz / 1e6:g} MHz; must be {SLOWEST_HZ / 1e6:g} to "
            f"{FASTEST_HZ / 1e6:g} MHz"
        )
    prepare_builtin_yosys()
    plan = board.platform().prepare(
        board.shell(cfg, clock_hz),
        TOP,
        emit_src=False,
        **board.toolchain.overrides(board, clock_hz),
    )
    files = {
        name: content if isinstance(content, str) else content.decode()
        for name, content in plan.files.items()
        if name not in _NOT_WRITTEN
    }
    files[f"{TOP}.v"] = tidied(files[f"{TOP}.v"])
    files |= board.toolchain.more_files(board, clock_hz, files[f"{TOP}.v"])
    files[CONFIG_FILE] = json.dumps(cfg.to_dict(), indent=2) + "\n"
    return Design(board, cfg, clock_hz, files)


def write(design: Design, folder: Path) -> None:
    """Write the files of a design into ``folder``, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in design.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def check(
    design: Design, folder: Path, tell: Callable[[str], None] = lambda _: None
) -> Iterator[Check]:
    """Check everything that can be checked without the vendor's tool, the quick checks first.

    Raises
    ------
    CheckError, SynthesisError
        For the first thing that is wrong.
    """
    port = design.board.memory
    yield Check(
        "memory port",
        f"{port.name}: {port.bits} bits as the machine's bus, addresses of "
        f"{design.cfg.addr_bits} bits in {port.addr_bits}",
    )
    yield from design.board.toolchain.check(design, folder, tell)


def build(design: Design, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Path:
    """Run the toolchain; returns the ``.vtabit`` file.

    Raises
    ------
    ToolError
        If the toolchain is not on PATH (the message says what to run where it is), is of another
        version, or fails.
    TimingError
        If the design misses its clock.
    """
    toolchain = design.board.toolchain
    if toolchain.find() is None:
        name = design.board.name
        raise ToolError(
            f"{toolchain.program} is not on PATH: {toolchain.name} {toolchain.versions} makes the "
            f"bitstream of {name}. Where it is installed, run\n"
            f"    (cd {folder} && {toolchain.command(design)})\n"
            f"and then, with the folder back here,\n"
            f"    python -m vta.boards.bitstream {name} {_options(design, folder)}--collect "
            f"-o {folder}"
        )
    return _save(design, toolchain.run(design, folder, tell), folder)


def collect(design: Design, folder: Path) -> Path:
    """Make the ``.vtabit`` file of what the toolchain left in ``folder`` elsewhere.

    Raises
    ------
    CheckError
        If the project in the folder is not the one of ``design``.
    ToolError
        If the toolchain's results are missing or are those of another design.
    TimingError
        If the design misses its clock.
    """
    for name, text in design.files.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise CheckError(
                f"{path} is not what this version writes for {design.cfg.fingerprint} on "
                f"{design.board.name} at {design.clock_hz / 1e6:g} MHz; make the project again "
                f"and run the tool on that"
            )
    return _save(design, design.board.toolchain.collect(design, folder), folder)


def _save(design: Design, built: Built, folder: Path) -> Path:
    built.timing.refuse_if_missed(design)
    path = folder / f"{design.board.name}{SUFFIX}"
    Bitstream(
        board=design.board.name,
        part=design.board.part.name,
        cfg=design.cfg,
        clock_hz=design.clock_hz,
        data_format=built.data_format,
        data=built.data,
        tool=built.timing.tool,
    ).save(path)
    return path


def _options(design: Design, folder: Path) -> str:
    """The options that give this design again."""
    board = design.board
    options = ""
    if design.cfg != board.config:
        options += f"--config {folder / CONFIG_FILE} "
    if design.clock_hz != board.clock_hz:
        options += f"--mhz {design.clock_hz / 1e6:g} "
    return options


# ---- the command -------------------------------------------------------------------------------


def _summary(design: Design, seen: list[Check]) -> Table:
    board = design.board
    table = Table(
        title=f"{board.title}: {design.cfg.fingerprint} at {design.clock_hz / 1e6:g} MHz",
        show_header=False,
    )
    for item in seen:
        table.add_row(item.what, item.detail)
    return table


def _plan(board: Board) -> str:
    """What will be done, for the start: the vendor's tool may be missing."""
    toolchain = board.toolchain
    program = toolchain.find()
    if program is None:
        return (
            f"{toolchain.name} ({toolchain.program}): not found; writing the project of "
            f"{board.name} and checking everything else"
        )
    return f"{toolchain.name}: {program}; making the bitstream of {board.name}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vta.boards.bitstream",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("board", metavar="BOARD", help="a file of boards/, such as pynq_z1")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=PRESETS, help="a configuration; default: the board's")
    which.add_argument("--config", metavar="FILE", help="a vta_config.json")
    parser.add_argument("--mhz", type=float, metavar="CLOCK", help="default: the board's clock")
    parser.add_argument("--collect", action="store_true", help="the toolchain ran elsewhere")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="default: build/BOARD")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    args = _parser().parse_args(argv)
    console, errors = Console(), Console(stderr=True)

    def tell(line: str) -> None:
        errors.print(line, style="dim", highlight=False, markup=False, soft_wrap=True)

    try:
        board = find_board(args.board)
        folder: Path = args.output or Path("build") / board.name
        cfg = None
        if args.config or args.preset:
            cfg = VTAConfig.from_file(args.config) if args.config else VTAConfig.preset(args.preset)
        if not args.collect:
            tell(_plan(board))
        design = design_of(board, cfg, None if args.mhz is None else round(args.mhz * 1e6))
        if args.collect:
            path = collect(design, folder)
        else:
            write(design, folder)
            tell(f"wrote {', '.join(sorted(design.files))} into {folder}")
            seen: list[Check] = []
            try:
                seen.extend(check(design, folder, tell))
            finally:
                console.print(_summary(design, seen))
            path = build(design, folder, tell)
    except (VTAError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"wrote {path}", highlight=False, markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    with reported_output():
        sys.exit(main())
