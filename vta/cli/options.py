"""Options and arguments that several commands take, and the files that they read and write."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vta.config import INSN_BYTES, PRESETS, VTAConfig
from vta.errors import VTAError
from vta.file_kinds import kind_of
from vta.network_file import is_network
from vta.targets import TARGETS, wrong_target

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ADDRESS",
    "EXISTING_FILE",
    "FILE",
    "FiniteRange",
    "TargetName",
    "bitstream_option",
    "buffer_option",
    "is_archive",
    "is_model",
    "is_network_file",
    "machine",
    "machine_options",
    "read",
    "require_other",
    "require_stream",
    "shape_option",
    "target_option",
]

FILE = click.Path(dir_okay=False, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Address(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """A byte address, decimal or with 0x."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            address = int(str(value), 0)
        except ValueError:
            self.fail(f"{value!r} is not an address (write 4096 or 0x1000)", param, ctx)
        if address < 0:
            self.fail(f"{value} is negative", param, ctx)
        return address


ADDRESS = _Address()


class FiniteRange(click.FloatRange):
    """A range of numbers without NaN, which is neither below nor above a limit, and infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


class TargetName(click.Choice):  # type: ignore[type-arg]  # generic since click 8.2
    """A target; of a name that is none, the error says what there is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if wrong := wrong_target("the target", value, self.choices):
            self.fail(wrong, param, ctx)
        return super().convert(value, param, ctx)


def target_option(
    targets: tuple[str, ...] = TARGETS, **attributes: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option ``--target`` with one of ``targets``, and further attributes of the option."""
    return click.option("--target", type=TargetName(targets), **attributes)


class _NamedShape(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """The shape of a tensor: NAME=1,3,224,224."""

    name = "shape"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        if isinstance(value, tuple):
            return value
        name, _, text = str(value).rpartition("=")
        extents = text.split(",")
        if not name or not all(extent.isdecimal() and int(extent) for extent in extents):
            self.fail(f"{value!r} is no NAME=1,3,224,224, of positive numbers", param, ctx)
        return name, tuple(map(int, extents))


shape_option = click.option(
    "--shape", "shapes", type=_NamedShape(), metavar="NAME=N,C,H,W", multiple=True,
    help="The shape of an input with extents that the model leaves open; an extent with a name is "
    "the same in every input.",
)  # fmt: skip
bitstream_option = click.option(
    "--bitstream",
    type=EXISTING_FILE,
    help="Boards: configure the FPGA with this .vtabit file first.",
)
buffer_option = click.option(
    "--buffer",
    metavar="NAME",
    help="Boards: the u-dma-buf to use, or `pynq` for memory of that package. Default: the one "
    "called vta, else the only one.",
)


def machine_options(default: str = "the preset `default`") -> Callable[..., Any]:
    """--config and --preset, which choose the machine; ``default`` is what the help says of a
    command line without them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        command = click.option(
            "--preset", type=click.Choice(PRESETS), help="A machine that comes with the package."
        )(command)
        return click.option(
            "--config",
            type=EXISTING_FILE,
            help=f"The machine: a vta_config.json. Default: {default}.",
        )(command)

    return decorate


def machine(config: Path | None, preset: str | None, *, otherwise: str = "default") -> VTAConfig:
    """The configuration that the options name."""
    if config is not None and preset is not None:
        raise click.UsageError("give a configuration file or --preset, not both")
    return VTAConfig.preset(preset or otherwise) if config is None else VTAConfig.from_file(config)


# ---- files --------------------------------------------------------------------------------------


def require_stream(path: Path, content: bytes) -> None:
    """Refuse a file that is another one than a raw instruction stream.

    Raises
    ------
    VTAError
        If the file is of another kind, or has no whole number of instructions.
    """
    kind = "an ONNX model" if is_model(path) else kind_of(content)
    if kind is not None:
        raise VTAError(f"{path} is {kind}; must be a saved program or a raw instruction stream")
    if len(content) % INSN_BYTES:
        raise VTAError(
            f"{path}: an instruction stream is a multiple of {INSN_BYTES} bytes; got {len(content)}"
        )


def require_other(option: str, result: Path | None, *sources: Path | None) -> None:
    """Refuse an output that would overwrite a file that a command reads; None is no file.

    Raises
    ------
    click.UsageError
    """
    read_files = {source.resolve() for source in sources if source is not None}
    if result is not None and result.resolve() in read_files:
        raise click.UsageError(f"{option}: {result} is a file that the command reads")


def is_archive(content: bytes) -> bool:
    """Whether a file begins like a saved program, and not like a raw instruction stream; it may be
    damaged."""
    return content.startswith(b"PK\x03\x04")


def is_model(path: Path) -> bool:
    """Whether a file is called as an ONNX model."""
    return path.suffix.lower() == ".onnx"


def is_network_file(path: Path, content: bytes) -> bool:
    """Whether a file holds a compiled network, or is called so; it may be damaged."""
    return path.suffix.lower() == ".vtanet" or is_network(content)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VTAError(f"cannot read {path}: {error.strerror}") from None
