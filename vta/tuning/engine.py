"""Where tasks run: what a search needs of any engine, and the engine that is this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["Done", "Engine", "InProcess", "Task", "checked_results"]


@dataclass
class Task:
    """A call that a worker does.

    Attributes
    ----------
    function : callable
        Of a module of this package.
    arguments : tuple
    tag : object
        The caller's; it stays in this process.
    on_board : bool
        Whether the worker must have a board.
    patience : float
        How many times as long as other tasks it may take before it counts as hung.
    tries : int
        Workers that were lost with it, hung, or have another version.
    done_by : set of str
        Workers whose result was wrong, or an error.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    tag: Any = None
    on_board: bool = False
    patience: float = 1.0
    tries: int = 0
    done_by: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Done:
    """The result of a task.

    Attributes
    ----------
    task : Task
    value : object
        What the function returned; None if it raised.
    error : Exception or None
    worker : str
        Its address.
    """

    task: Task
    value: Any
    error: Exception | None = None
    worker: str = "this process"


class Engine(Protocol):
    """Runs tasks. ``next`` gives the results in any order.

    Tasks of one ``submit`` go to a worker together, which costs less than a message for each.
    ``workers`` is how many there are, so that callers submit groups for all of them.
    ``elsewhere(done, why)`` submits a task again whose result is wrong, or an error, to a worker
    that has not done the task yet; False: there is none.
    """

    @property
    def workers(self) -> int: ...
    def submit(self, *tasks: Task) -> None: ...
    def next(self) -> Done: ...
    def elsewhere(self, done: Done, why: str) -> bool: ...
    def require_board(self) -> None: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...


class InProcess:
    """Runs tasks one after the other in this process, when their results are asked for."""

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()

    @property
    def workers(self) -> int:
        return 1

    def submit(self, *tasks: Task) -> None:
        self._tasks.extend(tasks)

    def next(self) -> Done:
        task = self._tasks.popleft()
        try:
            return Done(task, task.function(*task.arguments))
        except Exception as error:
            return Done(task, None, error)

    def elsewhere(self, done: Done, why: str) -> bool:
        """False: there is this process only."""
        return False

    def require_board(self) -> None:
        """Nothing is required: a task on the board says what this computer lacks."""

    def cancel(self) -> None:
        """Forget what was not started."""
        self._tasks.clear()

    def close(self) -> None:
        self.cancel()


def checked_results(
    engine: Engine, count: int, fault: Callable[[Done], str | None]
) -> Iterator[tuple[Done, str | None]]:
    """The results of tasks that were submitted, each with its fault.

    Parameters
    ----------
    engine : Engine
    count : int
        Of the tasks.
    fault : callable
        ``fault(done)``: what is wrong with a result, or None. The task is then repeated on other
        workers; the last one's result is given as it is.
    """
    while count:
        done = engine.next()
        why = fault(done)
        if why is None or not engine.elsewhere(done, why):
            count -= 1
            yield done, why
