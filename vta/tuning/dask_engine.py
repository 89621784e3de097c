"""Tasks on worker processes of this computer, or on a cluster.

Dask distributed sends tasks to workers, notices lost ones and gives their tasks to others. Added
here: results of another version are not taken, and tasks that hang, end in an error or have a
wrong result are given to other workers.
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from vta.errors import TuningError
from vta.extras import importing
from vta.tuning import worker_side
from vta.tuning.engine import Done, Engine, InProcess, Task
from vta.tuning.identity import identity

Future = Any
"""``distributed.Future``, whose types are partial."""

__all__ = ["BOARD", "DaskEngine", "open_engine"]

BOARD = "board"
"""The resource of a worker with a board: one task at a time."""
CONNECT_SECONDS = 10.0
WORKER_SECONDS = 60.0
HANG_SECONDS = 1800.0
"""Longer than the first build of the simulated RTL on a busy computer."""
COUNT_SECONDS = 10.0
"""Between two counts of the workers."""
MOST_TRIES = 8
"""Workers that may be lost, or hang, with one task."""
MOST_OPINIONS = 3
"""Workers that do a task whose result is wrong, or an error, each time."""


@dataclass
class DaskEngine:
    """Runs tasks on the workers of a Dask scheduler.

    Attributes
    ----------
    client : distributed.Client
    warn : callable
        ``warn(text)``: told of workers that are left out.
    hang_seconds : float
        Without any result for so long, times the largest patience of the tasks, these are given
        to other workers.
    """

    client: Any
    warn: Callable[[str], None] = lambda text: None
    hang_seconds: float = HANG_SECONDS
    cluster: Any = None
    _running: dict[Future, tuple[Task, ...]] = field(default_factory=dict)
    _results: deque[Done] = field(default_factory=deque)
    _finished: queue.Queue[Future] = field(default_factory=queue.Queue)
    _foreign: set[str] = field(default_factory=set)
    _counted: tuple[float, int] | None = None

    @property
    def workers(self) -> int:
        """Workers with this version, counted anew every :data:`COUNT_SECONDS`; at least 1."""
        now = time.monotonic()
        if self._counted is None or now - self._counted[0] > COUNT_SECONDS:
            found = self.client.scheduler_info(n_workers=-1)["workers"]
            self._counted = now, max(len(found.keys() - self._foreign), 1)
        return self._counted[1]

    def require_workers(self, seconds: float = WORKER_SECONDS) -> None:
        """Wait for a worker, and leave those out that run another version.

        Raises
        ------
        TuningError
            If there is no worker in time, or none of this version.
        """
        from distributed import TimeoutError

        where = self.client.scheduler.address
        try:
            self.client.wait_for_workers(1, timeout=seconds)
        except TimeoutError:
            raise TuningError(
                f"scheduler {where} has no workers after {seconds:.0f} s; start one on any "
                f"computer that reaches it: vta worker {where}"
            ) from None
        found = self.client.run(worker_side.version, on_error="return")
        ours = identity()
        for worker, theirs in found.items():
            if theirs != ours:
                self._leave_out(worker, theirs)
        if found and self._foreign >= found.keys():
            raise TuningError(
                f"no worker of {where} runs {ours}: "
                + "; ".join(f"{worker} has {theirs}" for worker, theirs in sorted(found.items()))
                + "; install the same version there"
            )

    def require_board(self, seconds: float = CONNECT_SECONDS) -> None:
        """Wait for a worker with a board.

        Raises
        ------
        TuningError
            If there is none in time: tasks on a board would wait for ever.
        """
        end = time.monotonic() + seconds
        while not any(BOARD in known["resources"] for known in self._workers().values()):
            if self.cluster is not None:
                raise TuningError(
                    "the worker processes of this computer have no board; take --workers 0 on the "
                    "board, or a scheduler with a worker that was started with --board"
                )
            if time.monotonic() > end:
                where = self.client.scheduler.address
                raise TuningError(
                    f"no worker of {where} has a board; start one there: vta worker {where} --board"
                )
            time.sleep(0.1)

    def _workers(self) -> dict[str, Any]:
        """What the scheduler knows of each worker of this version, by its address."""
        known = self.client.scheduler_info(n_workers=-1)["workers"]
        return {where: each for where, each in known.items() if where not in self._foreign}

    def _leave_out(self, worker: str, theirs: Any) -> None:
        if worker not in self._foreign:
            self._foreign.add(worker)
            self.warn(f"worker {worker} is left out: it has {theirs}, this is {identity()}")

    def submit(self, *tasks: Task) -> None:
        """Give tasks to one worker, which does them in turn.

        Raises
        ------
        TuningError
            If all workers run another version.
        """
        if not tasks:
            return
        allowed = None
        if self._foreign:
            allowed = sorted(self._workers())
            if not allowed:
                raise TuningError("all workers run another version: " + ", ".join(self._foreign))
        repeated = any(task.done_by for task in tasks)  # such a task is alone
        if repeated:
            allowed = self._others(tasks[0]) or allowed
        future = self.client.submit(
            worker_side.results_of, identity(), [(task.function, task.arguments) for task in tasks],
            pure=False, workers=allowed,
            resources={BOARD: 1} if any(task.on_board for task in tasks) else None,
            allow_other_workers=repeated and allowed is not None,  # if those are lost meanwhile
        )  # fmt: skip
        self._running[future] = tasks
        future.add_done_callback(self._finished.put)

    def next(self) -> Done:
        """The result of a task that has finished.

        Raises
        ------
        TuningError
            If too many workers were lost with one task, or hang.
        """
        while not self._results:
            try:
                future = self._finished.get(timeout=self._limit())
            except queue.Empty:
                self._give_to_others()
                continue
            tasks = self._running.pop(future, None)
            if tasks is not None:  # else they were given to another worker
                self._results.extend(self._done(future, tasks))
        return self._results.popleft()

    def elsewhere(self, done: Done, why: str) -> bool:
        """Submit a task again whose result is wrong, to a worker that has not done the task yet.

        Parameters
        ----------
        done : Done
        why : str
            What is wrong, for a warning.

        Returns
        -------
        bool
            False if there is no such worker, or enough workers have done the task.
        """
        task = done.task
        task.done_by.add(done.worker)
        if len(task.done_by) >= MOST_OPINIONS or not self._others(task):
            return False
        self.warn(f"{why}; the task is repeated on another worker")
        self.submit(task)
        return True

    def _others(self, task: Task) -> list[str]:
        """Workers that can do a task and have not done it."""
        return sorted(
            where
            for where, known in self._workers().items()
            if where not in task.done_by and (not task.on_board or BOARD in known["resources"])
        )

    def _limit(self) -> float:
        """The seconds without any result after which the running tasks hang."""
        return self.hang_seconds * max(
            (sum(task.patience for task in tasks) for tasks in self._running.values()), default=1
        )

    def _done(self, future: Future, tasks: tuple[Task, ...]) -> list[Done]:
        """The results; none if the tasks were submitted again."""
        from distributed import KilledWorker

        if future.status == "finished":
            worker, theirs, results = future.result()
            if theirs == identity():
                return [
                    Done(task, value, error, worker)
                    for task, (value, error) in zip(tasks, results, strict=True)
                ]
            self._leave_out(worker, theirs)
        else:
            lost = future.exception() if future.status == "error" else None
            if lost is not None and not isinstance(lost, KilledWorker):
                # A worker that cannot even read the task: another version, or a damaged one.
                self.warn(f"a task was not run: {lost!r}; it is repeated")
        for task in tasks:  # each for itself: one of them may be what the worker was lost with
            self._again(task)
        return []

    def _again(self, task: Task) -> None:
        task.tries += 1
        if task.tries >= MOST_TRIES:
            raise TuningError(
                f"{task.function.__name__}: {task.tries} workers were lost, hung or had another "
                f"version; the log has what was finished before"
            )
        self.submit(task)

    def _give_to_others(self) -> None:
        """Submit what hangs again, and restart the workers that have it."""
        stuck = [future for future in self._running if not future.done()]
        holders = {
            worker
            for worker, keys in self.client.processing().items()
            if {future.key for future in stuck} & set(keys)
        }
        if not self.client.scheduler_info(n_workers=-1)["workers"]:
            raise TuningError(
                f"no worker is left, and none came back in {self._limit():.0f} s; the log has "
                f"what was finished before"
            )
        self.warn(f"no result for {self._limit():.0f} s: {', '.join(sorted(holders))} hang")
        tasks = [task for future in stuck for task in self._running.pop(future)]
        self.client.cancel(stuck, force=True)
        for worker in sorted(holders):
            try:
                self.client.restart_workers([worker], timeout=60, raise_for_error=False)
            except (ValueError, TimeoutError) as error:
                self.warn(f"worker {worker} cannot be restarted: {error}")
        for task in tasks:
            self._again(task)

    def cancel(self) -> None:
        """Forget what has not finished."""
        futures = list(self._running)
        self._running.clear()
        self._results.clear()
        self.client.cancel(futures)

    def close(self) -> None:
        self.cancel()
        self.client.close()
        if self.cluster is not None:
            self.cluster.close()


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """SIGINT and SIGTERM that come inside have their effect at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def open_engine(
    scheduler: str | None,
    workers: int,
    warn: Callable[[str], None] = lambda text: None,
    *,
    estimates: bool = False,
) -> Engine:
    """The engine that the options of a command name.

    Parameters
    ----------
    scheduler : str or None
        The address of a Dask scheduler, as ``tcp://host:8786``.
    workers : int
        Without a scheduler: worker processes on this computer; 0: none, in this process.
    warn : callable
        Told of workers that are left out.
    estimates : bool
        Whether the tasks are estimates of the timing model: its kernel is then compiled before
        worker processes start, which load it.

    Raises
    ------
    TuningError
        If there is no such scheduler, or it has no workers of this version.
    ToolError
        If Dask is not installed.
    """
    if scheduler is None and workers == 0:
        return InProcess()
    with importing("a search on workers", "tune"):
        import distributed

    cluster: Any = None
    engine: DaskEngine | None = None
    try:
        if scheduler is None:
            if estimates:
                from vta.sim.timing import prepare

                prepare()
            with _interrupts_wait():  # a cluster that is half started cannot be closed
                cluster = distributed.LocalCluster(  # type: ignore[no-untyped-call]
                    n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0",
                    host="127.0.0.1", resources={}, silence_logs=40, preload=[worker_side.__name__],
                )  # fmt: skip
        try:
            client = distributed.Client(  # type: ignore[no-untyped-call]
                cluster or scheduler, timeout=CONNECT_SECONDS
            )
        except (OSError, ValueError, TimeoutError) as error:
            raise TuningError(
                f"no Dask scheduler at {scheduler} ({error or type(error).__name__}); start one "
                f"with `dask scheduler`, and workers with `vta worker tcp://HOST:8786`"
            ) from None
        engine = DaskEngine(client, warn, cluster=cluster)
        engine.require_workers()
    except BaseException:
        if engine is not None:
            engine.close()
        elif cluster is not None:
            cluster.close()
        raise
    return engine
