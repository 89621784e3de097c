"""Workers in processes of their own: lost ones, hanging ones, other versions."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from random import Random

import pytest
from distributed import LocalCluster

from vta.config import VTAConfig
from vta.errors import TuningError
from vta.tuning import ScheduleLog, dask_engine, parse_workload
from vta.tuning.dask_engine import DaskEngine, open_engine
from vta.tuning.engine import InProcess, Task, checked_results
from vta.tuning.search import Search, together

TINY = VTAConfig.preset("tiny")
CALLS = ("conv2d((1, 8, 6, 6), 8, 3, padding=1)", "dense((1, 16), 16)")


def search(path, engine, **options):
    log = ScheduleLog(path, create=True)
    workloads = {parse_workload(call, TINY): 1 for call in CALLS}
    return Search(log, TINY, workloads, engine, trials=16, **options)


@pytest.fixture
def scheduler():
    """A scheduler without workers."""
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def start(scheduler):
    """Starts ``vta worker``, and ends what is left of it."""
    processes = []

    def begin(*options, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "vta", "worker", scheduler, *options],
            env={**os.environ, **environment}, start_new_session=True,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout.readline().startswith("worker tcp://")
        return process

    yield begin
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_two_of_three_workers_are_killed(scheduler, start, tmp_path):
    """At random moments, with all their processes: the same log as without workers."""
    search(tmp_path / "alone.sqlite", InProcess()).run()
    workers = [start() for _ in range(3)]
    rng = Random(7)
    moments = sorted(rng.sample(range(1, 24), 2))
    engine = open_engine(scheduler, 0)
    finished = engine.next

    def count():
        count.results += 1
        if moments and count.results >= moments[0]:
            moments.pop(0)
            os.killpg(workers.pop(rng.randrange(len(workers))).pid, signal.SIGKILL)
        return finished()

    count.results = 0
    engine.next = count
    try:
        search(tmp_path / "killed.sqlite", engine).run()
    finally:
        engine.close()
    assert len(workers) == 1
    logs = [ScheduleLog(tmp_path / f"{name}.sqlite").export() for name in ("alone", "killed")]
    assert logs[0] == logs[1]


def hang_once(path):
    """Hangs in the first process that calls it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return os.getpid()
    time.sleep(300)


def test_a_task_may_take_as_long_as_its_patience(scheduler, start):
    start()
    told = []
    engine = open_engine(scheduler, 0, told.append)
    engine.hang_seconds = 1.0
    try:
        engine.submit(Task(time.sleep, (2.5,), "slow", patience=100.0))
        assert engine.next().task.tag == "slow"
        assert told == []
    finally:
        engine.close()


def test_a_task_that_hangs_is_done_by_another_worker(scheduler, start, tmp_path):
    start()
    start()
    told = []
    engine = open_engine(scheduler, 0, told.append)
    engine.hang_seconds = 6.0  # longer than a task may wait on a busy computer
    try:
        engine.submit(Task(hang_once, (str(tmp_path / "first"),), "tag"))
        done = engine.next()
        assert done.task.tag == "tag"
        assert isinstance(done.value, int)
        assert "hang" in told[0]
    finally:
        engine.close()


def fail_once(path):
    """Raises in the first process that calls it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return os.getpid()
    raise RuntimeError(f"process {os.getpid()} has no compiler")


def never():
    raise RuntimeError("always")


def test_an_error_of_one_worker_is_not_that_of_another(scheduler, start, tmp_path):
    start()
    start()
    told = []
    engine = open_engine(scheduler, 0, told.append)

    def fault(done):
        return done.error and f"{done.worker}: {done.error}"

    try:
        engine.submit(Task(fail_once, (str(tmp_path / "first"),)))
        ((done, why),) = checked_results(engine, 1, fault)
        assert why is None
        assert isinstance(done.value, int)
        assert "has no compiler; the task is repeated on another worker" in told[0]
        assert str(done.value) not in told[0]
        engine.submit(Task(never, ()))
        ((done, why),) = checked_results(engine, 1, fault)
        assert why == fault(done)
        assert str(done.error) == "always"
        assert len(told) == 2  # both workers were asked
    finally:
        engine.close()


def test_workers_of_another_version_are_left_out(scheduler, start, monkeypatch):
    start()
    told = []
    monkeypatch.setattr(dask_engine, "identity", lambda: "0.0.1+other")
    with pytest.raises(TuningError, match=r"no worker of tcp://.* runs 0\.0\.1\+other: .* has 0\."):
        open_engine(scheduler, 0, told.append)
    assert "is left out" in told[0]


def test_a_scheduler_without_workers(scheduler, monkeypatch):
    monkeypatch.setattr(DaskEngine.require_workers, "__defaults__", (0.5,))
    with pytest.raises(TuningError, match="has no workers after 0 s; start one"):
        open_engine(scheduler, 0)


def test_tasks_for_a_board(scheduler, start):
    """Tasks for a board reach the only worker that has one."""
    start()
    start("--board")
    engine = open_engine(scheduler, 0)
    try:
        on_board = [Task(where, (), n, on_board=True) for n in range(4)]
        for task in on_board:
            engine.submit(task)
        assert len({engine.next().value for _ in on_board}) == 1
    finally:
        engine.close()


def test_a_search_on_a_board_without_one(scheduler, start):
    start()
    engine = open_engine(scheduler, 0)
    try:
        with pytest.raises(TuningError, match=r"no worker of tcp://.* has a board; start one"):
            engine.require_board(seconds=0)
        start("--board")
        engine.require_board()
    finally:
        engine.close()


def where():
    """The process of a worker."""
    return os.getpid()


def test_tasks_of_one_group(scheduler, start):
    """One worker does them in turn; an error of one leaves the results of the others."""
    start()
    start()
    engine = open_engine(scheduler, 0)
    try:
        assert engine.workers >= 1
        group = [Task(where, (), 0), Task(int, ("x",), 1), Task(where, (), 2)]
        engine.submit(*group)
        first, second, third = (engine.next() for _ in group)
        assert [done.task.tag for done in (first, second, third)] == [0, 1, 2]
        assert first.value == third.value != os.getpid()
        assert isinstance(second.error, ValueError)
    finally:
        engine.close()


def test_a_group_of_a_lost_worker_is_repeated_one_by_one(scheduler, start, tmp_path):
    """The task that its worker is lost with takes no other task with it."""
    start()
    engine = open_engine(scheduler, 0)
    told = []
    engine.warn = told.append
    engine.hang_seconds = 6.0  # longer than a task may wait on a busy computer
    try:
        start()
        engine.submit(Task(where, (), 0), Task(hang_once, (str(tmp_path / "first"),), 1))
        assert {engine.next().task.tag for _ in range(2)} == {0, 1}
        assert "hang" in told[0]
    finally:
        engine.close()


def test_groups_of_trials():
    """Whole batches where few workers have many layers; single trials where workers would wait."""
    assert [together(10, 2), together(4, 2), together(1, 1)] == [8, 8, 4]
    assert [together(1, 2), together(1, 100), together(10, 100)] == [2, 1, 1]
    for layers in range(1, 30):
        for workers in range(1, 60):
            groups = layers * -(-8 // together(layers, workers))
            assert groups >= min(2 * workers, 8 * layers)


def test_an_error_of_a_task_comes_back():
    engine = InProcess()
    engine.submit(Task(int, ("x",)))
    assert isinstance(engine.next().error, ValueError)


@pytest.mark.parametrize("interrupt", [signal.default_int_handler, signal.SIG_IGN])
def test_a_worker_ends_on_sigterm(start, interrupt):
    """Also as a background job of a shell, which ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        process = start()
    finally:
        signal.signal(signal.SIGINT, before)
    process.terminate()
    assert process.wait(60) == 0


def test_worker_without_a_scheduler():
    done = subprocess.run(
        [sys.executable, "-m", "vta", "worker", "tcp://127.0.0.1:1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no Dask scheduler at tcp://127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_reaches_the_command_alone():
    """A terminal sends Ctrl-C to worker processes, too; they go on until the command ends them."""
    engine = open_engine(None, 1)
    engine.hang_seconds = 30.0
    try:
        (pid,) = engine.client.run(os.getpid).values()
        os.kill(pid, signal.SIGINT)
        engine.submit(Task(os.getpid, ()))
        assert engine.next().value == pid
    finally:
        engine.close()
