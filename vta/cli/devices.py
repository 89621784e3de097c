"""Which device a command runs on: the options, and the session that they choose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vta.cli.options import EXISTING_FILE, bitstream_option, buffer_option, target_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from vta.config import VTAConfig
    from vta.runtime.session import Session

__all__ = [
    "Place",
    "card_memory_option",
    "card_option",
    "device_options",
    "memory_option",
    "place_options",
    "serial_option",
]


class _HostAndPort(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """HOST:PORT; an IPv6 address stands in brackets."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        host, colon, port = str(value).rpartition(":")
        if not (host and colon and port.isascii() and port.isdecimal() and int(port) < 1 << 16):
            self.fail(f"{value!r} is not HOST:PORT (write board:9091 or [::1]:9091)", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


memory_option = click.option(
    "--memory", help="tsim: behaviour of the simulated DRAM, as `ideal` or `ddr`."
)
serial_option = click.option("--serial", help="Boards on a serial line: the port, as /dev/ttyUSB0.")
card_option = click.option(
    "--card",
    metavar="ADDRESS",
    help="PCIe cards: the address on the bus, as 0000:04:00.0. Default: the only card.",
)
card_memory_option = click.option(
    "--card-memory",
    type=click.IntRange(1),
    metavar="MIB",
    help="PCIe cards: memory of this computer for programs and tensors. Default: 64.",
)
_OPTIONS = (
    target_option(
        help="The reference model, the RTL in Verilator, the board that this is, or one that is "
        "in or at this computer. Default: the TARGET of the configuration that FILE was built for.",
    ),
    memory_option,
    bitstream_option,
    buffer_option,
    serial_option,
    card_option,
    card_memory_option,
    click.option(
        "--remote", type=_HostAndPort(), metavar="HOST:PORT", help="The device of a `vta serve`."
    ),
    click.option(
        "--token-file",
        type=EXISTING_FILE,
        help="Remote: a file with the server's token. Default: the variable VTA_RPC_TOKEN.",
    ),
    click.option(
        "--certificate",
        type=EXISTING_FILE,
        help="Remote: verify the server with this PEM file. Default: with its token.",
    ),
)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of :class:`Place`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_DEVICE_OPTIONS = ("memory", "bitstream", "buffer", "serial", "card", "card_memory")
"""Those of :func:`device_options`."""


@dataclass(frozen=True)
class Place:
    """Where a command runs: the values of :func:`place_options`."""

    target: str | None = None
    memory: str | None = None
    bitstream: Path | None = None
    buffer: str | None = None
    serial: str | None = None
    card: str | None = None
    card_memory: int | None = None
    remote: tuple[str, int] | None = None
    token_file: Path | None = None
    certificate: Path | None = None

    def __post_init__(self) -> None:
        local = ("target", *_DEVICE_OPTIONS)
        elsewhere = ("token_file", "certificate")
        for name in local if self.remote is not None else elsewhere:
            if getattr(self, name) is not None:
                why = "goes without" if self.remote is not None else "is for"
                raise click.UsageError(f"--{name.replace('_', '-')} {why} --remote HOST:PORT")

    def open(self, cfg: VTAConfig) -> Session:
        """A session with the device.

        Parameters
        ----------
        cfg : VTAConfig
            The machine; its TARGET is the device unless the options name another.

        Raises
        ------
        DeviceError
            If there is no such device or server.
        ConfigError
            If a server's machine is another one.
        """
        from vta import rpc

        if self.remote is None:
            cfg = cfg.replace(target=self.target) if self.target else cfg
            given = {name: getattr(self, name) for name in _DEVICE_OPTIONS}
            return rpc.LocalSession(cfg, **device_options(cfg.target, **given))

        def waiting(place: int) -> None:
            click.echo(f"waiting for the device, place {place}", err=True)

        session = rpc.connect(
            *self.remote, token_file=self.token_file, certificate=self.certificate, on_wait=waiting
        )
        session.require_config(cfg)
        return session


def device_options(target: str, **given: Any) -> dict[str, Any]:
    """The options of a device as :func:`vta.runtime.targets.open_device` names them; those that are
    None are left out.

    Raises
    ------
    click.UsageError
        If one is for other targets.
    """
    from vta.runtime.drivers import pcie
    from vta.runtime.drivers.boards import LINUX_BOARDS
    from vta.runtime.drivers.uart import UART_TARGETS

    meanings = {
        "memory": ("memory_preset", ("tsim",)),
        "bitstream": ("bitstream", tuple(LINUX_BOARDS)),
        "buffer": ("memory", tuple(LINUX_BOARDS)),
        "serial": ("port", UART_TARGETS),
        "card": ("card", (pcie.TARGET,)),
        "card_memory": ("memory_bytes", (pcie.TARGET,)),
    }
    options = {}
    for option, value in given.items():
        name, targets = meanings[option]
        if value is None:
            continue
        if target not in targets:
            raise click.UsageError(
                f"--{option.replace('_', '-')} is for the targets {', '.join(targets)}; the target "
                f"is {target}"
            )
        options[name] = value << 20 if name == "memory_bytes" else value
    return options
