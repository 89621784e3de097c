"""`vta serve`: lend this machine's device to clients over the network."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import click

from vta.cli.devices import (
    card_memory_option,
    card_option,
    device_options,
    memory_option,
    serial_option,
)
from vta.cli.options import (
    EXISTING_FILE,
    FiniteRange,
    bitstream_option,
    buffer_option,
    machine,
    machine_options,
    target_option,
)
from vta.errors import DeviceError, VTAError
from vta.extras import importing
from vta.runtime.device import Interruptible, Lendable
from vta.runtime.remote import DEFAULT_PORT
from vta.runtime.remote.limits import Limits

if TYPE_CHECKING:
    from vta.runtime.remote.credentials import Credentials

__all__ = ["serve"]

MIB = 1 << 20
END_SECONDS = 0.8
"""How long a clean end may take after a signal, before the process ends without it."""


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
@machine_options()
@target_option(
    help="The reference model, the RTL in Verilator, the board that this is, or one that is in or "
    "at this computer. Default: the configuration's TARGET.",
)
@memory_option
@bitstream_option
@buffer_option
@serial_option
@card_option
@card_memory_option
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for certificate, key and token. Default: one in the user's home.",
)
@click.option("--certificate", type=EXISTING_FILE, help="PEM file to use instead of its own.")
@click.option("--key", type=EXISTING_FILE, help="PEM file with the key of --certificate.")
@click.option(
    "--sessions",
    type=click.IntRange(1),
    help="Sessions at a time. Default: 8, or as many as have 16 MiB of device memory each.",
)
@click.option(
    "--session-memory",
    type=click.IntRange(1),
    metavar="MIB",
    help="Device memory of one session. Default: an equal share for each of them.",
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
    type=FiniteRange(1),
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
    card: str | None,
    card_memory: int | None,
    state: Path | None,
    certificate: Path | None,
    key: Path | None,
    sessions: int | None,
    session_memory: int | None,
    cycles: int,
    idle: float,
) -> None:
    """Lend this machine's device to clients that have the token (docs/tools/remote.md).

    The first start makes a certificate and a token, and prints the token: the only time. Ends with
    Ctrl-C or SIGTERM within a second: a run in flight is cut off.
    """
    from vta.runtime.remote.credentials import default_folder, open_credentials
    from vta.runtime.targets import open_device

    if (certificate is None) != (key is None):
        raise click.UsageError("give --certificate and --key, or neither")
    cfg = machine(config, preset)
    cfg = cfg.replace(target=target) if target else cfg
    options = device_options(
        cfg.target,
        memory=memory,
        bitstream=bitstream,
        buffer=buffer,
        serial=serial,
        card=card,
        card_memory=card_memory,
    )
    limits = Limits(
        sessions=sessions,
        device_bytes=None if session_memory is None else session_memory * MIB,
        cycles=cycles,
        idle_seconds=idle,
    )
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    logging.getLogger("vta.serve").setLevel(logging.INFO)
    # Tracebacks of broken handshakes. Who is refused gets one line of ours.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    # What can fail comes before the token: a token is made and shown by a server that serves.
    with importing("`vta serve`", "remote"):
        importlib.import_module("vta.runtime.remote.server")
    device = open_device(cfg, **options)
    if not isinstance(device, Lendable):
        raise DeviceError(f"{device!r} cannot be lent: its memory is not of this machine")
    folder = state or default_folder()
    credentials = open_credentials(folder, certificate=certificate, key=key)
    asyncio.run(_serve(device, credentials, folder, host, port, limits))


async def _serve(
    device: Lendable, credentials: Credentials, folder: Path, host: str, port: int, limits: Limits
) -> None:
    from vta.runtime.remote.server import running

    stop = _end_on_signals(device)
    async with contextlib.AsyncExitStack() as stack:
        server = running(device, credentials, host=host, port=port, limits=limits)
        try:
            bound = await stack.enter_async_context(server)
        except VTAError:
            if credentials.new:  # never shown; the next start makes and shows one
                (folder / "token").unlink(missing_ok=True)
            raise
        if credentials.new:
            click.echo(f"Token, shown this once:\n{credentials.token.text}")
        click.echo(f"Serving {device.name} {device.cfg.fingerprint} at {host}:{bound}")
        await stop.wait()


def _end_on_signals(device: Lendable) -> asyncio.Event:
    """What SIGINT and SIGTERM set; from then on the process has :data:`END_SECONDS` to end.

    A run on a simulator cannot be interrupted, and neither can the check of a file: they are in
    threads that end with the process. A run on a board would go on without it, so it is ended.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals: SimpleQueue[int] = SimpleQueue()  # may be filled wherever a signal handler runs

    def end(number: int, frame: object) -> None:
        if isinstance(device, Interruptible):
            device.interrupt()
        signals.put(number)
        with contextlib.suppress(RuntimeError):  # a second signal: the loop is closed already
            loop.call_soon_threadsafe(stop.set)

    def exit_in_time() -> None:
        signals.get()
        time.sleep(END_SECONDS)
        os._exit(0)

    threading.Thread(target=exit_in_time, name="vta-exit", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop
