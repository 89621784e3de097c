"""`vta serve`: lend this machine's device to clients over the network."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vta.cli.options import EXISTING_FILE, bitstream_option, buffer_option, machine, machine_options
from vta.config import TARGETS
from vta.errors import RemoteError
from vta.extras import importing
from vta.runtime.remote import DEFAULT_PORT
from vta.runtime.remote.limits import Limits

if TYPE_CHECKING:
    from vta.runtime.device import Device
    from vta.runtime.remote.credentials import Credentials

__all__ = ["serve"]

MIB = 1 << 20


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. The default is reached from this machine only; 0.0.0.0 "
    "is every network that this machine is in.",
)
@click.option(
    "--port",
    default=DEFAULT_PORT,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0 takes a free one.",
)
@machine_options
@click.option(
    "--target",
    type=click.Choice(TARGETS),
    help="The reference model, the RTL in Verilator, or the board that this is. Default: the "
    "configuration's TARGET.",
)
@click.option("--memory", help="tsim: behaviour of the simulated DRAM, as `ideal` or `ddr`.")
@bitstream_option
@buffer_option
@click.option("--serial", help="Boards on a serial line: the port, as /dev/ttyUSB0.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for certificate, key and token. Default: one in the user's home.",
)
@click.option("--certificate", type=EXISTING_FILE, help="PEM file to use instead of its own.")
@click.option("--key", type=EXISTING_FILE, help="PEM file with the key of --certificate.")
@click.option(
    "--sessions",
    default=Limits.sessions,
    show_default=True,
    type=click.IntRange(1),
    help="Sessions at a time.",
)
@click.option(
    "--session-memory",
    default=Limits.device_bytes // MIB,
    show_default=True,
    type=click.IntRange(1),
    metavar="MIB",
    help="Device memory of one session.",
)
@click.option(
    "--cycles",
    default=Limits.cycles,
    show_default=True,
    type=click.IntRange(1),
    help="Longest run, by a generous estimate made before it begins.",
)
@click.option(
    "--idle",
    default=Limits.idle_seconds,
    show_default=True,
    type=click.FloatRange(1),
    metavar="SECONDS",
    help="End sessions that ask for nothing so long.",
)
def serve(
    host: str,
    port: int,
    config: Path | None,
    preset: str | None,
    target: str | None,
    memory: str | None,
    bitstream: Path | None,
    buffer: str | None,
    serial: str | None,
    state: Path | None,
    certificate: Path | None,
    key: Path | None,
    sessions: int,
    session_memory: int,
    cycles: int,
    idle: float,
) -> None:
    """Lend this machine's device to clients that have the token (docs/remote.md).

    The first start makes a certificate and a token, and prints the token: the only time. Ends with
    Ctrl-C or SIGTERM, after the run that is under way.
    """
    from vta.runtime.remote.credentials import default_folder, open_credentials
    from vta.runtime.targets import open_device

    if (certificate is None) != (key is None):
        raise click.UsageError("give --certificate and --key, or neither")
    cfg = machine(config, preset)
    cfg = cfg.replace(target=target) if target else cfg
    options = _device_options(
        cfg.target, memory=memory, bitstream=bitstream, buffer=buffer, serial=serial
    )
    limits = Limits(
        sessions=sessions, device_bytes=session_memory * MIB, cycles=cycles, idle_seconds=idle
    )
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    logging.getLogger("vta.serve").setLevel(logging.INFO)
    # Tracebacks of broken handshakes. Who is refused gets one line of ours.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    # What can fail comes before the token: a token is made and shown by a server that serves.
    with importing("`vta serve`", "remote"):
        importlib.import_module("vta.runtime.remote.server")
    device = open_device(cfg, **options)
    folder = state or default_folder()
    credentials = open_credentials(folder, certificate=certificate, key=key)
    asyncio.run(_serve(device, credentials, folder, host, port, limits))


def _device_options(target: str, **given: Any) -> dict[str, Any]:
    """The options of the device, each of which is for some targets only."""
    from vta.runtime.drivers.boards import LINUX_BOARDS
    from vta.runtime.drivers.uart import UART_TARGETS

    meanings = {
        "memory": ("memory_preset", ("tsim",)),
        "bitstream": ("bitstream", tuple(LINUX_BOARDS)),
        "buffer": ("memory", tuple(LINUX_BOARDS)),
        "serial": ("port", UART_TARGETS),
    }
    options = {}
    for option, value in given.items():
        name, targets = meanings[option]
        if value is None:
            continue
        if target not in targets:
            raise click.UsageError(
                f"--{option} is for the targets {', '.join(targets)}; the target is {target}"
            )
        options[name] = value
    return options


async def _serve(
    device: Device, credentials: Credentials, folder: Path, host: str, port: int, limits: Limits
) -> None:
    from vta.runtime.remote.server import running

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C is an exception there
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        server = running(device, credentials, host=host, port=port, limits=limits)
        try:
            bound = await stack.enter_async_context(server)
        except RemoteError:
            if credentials.new:  # nobody has seen the token; the next start makes one and shows it
                (folder / "token").unlink(missing_ok=True)
            raise
        if credentials.new:
            click.echo(f"Token, shown this once:\n{credentials.token.text}")
        click.echo(f"Serving {device.name} {device.cfg.fingerprint} at {host}:{bound}")
        await stop.wait()
