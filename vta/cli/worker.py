"""`vta worker`: this computer works for a scheduler of Dask."""

from __future__ import annotations

import asyncio
import logging
import signal

import click

from vta.errors import TuningError

__all__ = ["worker"]

CONNECT_SECONDS = 5.0


@click.command()
@click.argument("scheduler", metavar="ADDRESS")
@click.option(
    "--board", is_flag=True,
    help="This computer is a board, or has one: it also measures schedules, one at a time.",
)  # fmt: skip
@click.option("--name", help="In reports. Default: the address.")
def worker(scheduler: str, board: bool, name: str | None) -> None:
    """Work for the Dask scheduler at ADDRESS, as tcp://host:8786, until it ends, Ctrl-C or SIGTERM.

    One process, which does one task at a time and is restarted if it dies: start as many as the
    computer has cores. `vta tune --scheduler ADDRESS` sends the tasks; both sides must have the
    same version of this project.
    """
    from vta.extras import importing
    from vta.tuning.identity import identity

    with importing("`vta worker`", "tune"):
        from distributed import Nanny
        from distributed.comm.core import connect

    from vta.tuning.dask_engine import BOARD

    async def serve() -> None:
        # Of a cluster's job that ends. Not by SIGINT: a shell's background jobs ignore that.
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:  # a Nanny alone would try for ever
            comm = await connect(  # type: ignore[no-untyped-call]
                scheduler, timeout=CONNECT_SECONDS
            )
            comm.abort()
        except (OSError, ValueError, TimeoutError) as error:
            raise TuningError(
                f"no Dask scheduler at {scheduler} ({error}); start one with `dask scheduler`"
            ) from None
        resources = {BOARD: 1} if board else None
        async with Nanny(
            scheduler, nthreads=1, name=name, resources=resources, dashboard=False
        ) as nanny:
            click.echo(f"worker {nanny.worker_address} of {scheduler}, version {identity()}")
            await nanny.finished()

    logging.getLogger("distributed").setLevel(logging.WARNING)
    try:
        asyncio.run(serve())
    except (KeyboardInterrupt, asyncio.CancelledError):
        click.echo("the worker has ended", err=True)
