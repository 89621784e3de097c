"""Searches: what they gain, how many trials a second, and how far workers scale.

    python -m tests.bench.bench_tuning [--network NAME ...] [--memory ideal|ddr] [--trials N]
        [--workers N] [--log FILE]
    python -m tests.bench.bench_tuning --rate [--seconds N]
    python -m tests.bench.bench_tuning --scale

The first searches schedules for the layers of networks and measures them on ``tsim``; an
interrupted run goes on with the same log. ``--rate`` counts the trials of the timing model with one
worker and with two. ``--scale`` simulates the scheduler with up to 1,000 workers, from costs that
are measured in the same run. The tables of docs/benchmarks.md are written anew between their
markers.
"""

from __future__ import annotations

import argparse
import heapq
import os
import pickle
import sys
import tempfile
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bench_layers import PAGE, write
from tests.bench.networks import NETWORKS
from vta.config import VTAConfig
from vta.tuning import ScheduleLog, Workload
from vta.tuning.dask_engine import DaskEngine, open_engine
from vta.tuning.engine import InProcess, Task
from vta.tuning.evaluate import Job, model_cycles
from vta.tuning.identity import identity
from vta.tuning.search import Layer, Search, together, total
from vta.tuning.study import BATCH, Study
from vta.tuning.workload import recorded

CFG = VTAConfig.preset("default")
WARM = 48
"""Trials before those that are counted."""
SEARCHED = {"ResNet-18": "C1"}
"""Networks, and the layer that is left out."""


def workloads(network: str) -> tuple[Counter[Workload], dict[Workload, str]]:
    """How often the network has each workload, and the name of the first layer with it."""
    counts: Counter[Workload] = Counter()
    names: dict[Workload, str] = {}
    for layer in NETWORKS[network]:
        if layer.name == SEARCHED.get(network):
            continue
        with recorded() as found:
            layer.build(CFG)
        for workload in found:
            counts[workload] += layer.repeats
            names.setdefault(workload, layer.name)
    return counts, names


def search(network: str, memory: str, trials: int, workers: int, path: Path) -> str:
    """The table of a network."""
    counts, names = workloads(network)
    engine = open_engine(None, workers, lambda text: print(text, file=sys.stderr), estimates=True)

    def report(layer: Layer) -> None:
        if layer.entry is not None:
            entry = layer.entry
            print(names[layer.workload], entry.default_cycles, entry.cycles, file=sys.stderr)

    log = ScheduleLog(path, create=True)
    try:
        searched = Search(
            log, CFG, dict(counts), engine, memory=memory, trials=trials, report=report
        )
        layers = searched.run()
    finally:
        engine.close()
    lines = [
        f"| layer, `{memory}` | shape | times | trials | default | tuned | change |",
        "|---|---|---|---|---|---|---|",
    ]
    for layer in layers:
        entry = layer.entry
        assert entry is not None
        lines.append(
            f"| {names[layer.workload]} | {layer.workload.title(CFG)} | {layer.count} "
            f"| {entry.trials} | {entry.default_cycles:,} | {entry.cycles:,} "
            f"| {entry.cycles / entry.default_cycles - 1:+.1%} |"
        )
    before, after = total(layers)
    lines.append(
        f"| total | | {sum(counts.values())} | | {before:,} | {after:,} "
        f"| {after / before - 1:+.2%} |"
    )
    return "\n".join(lines)


# ---- trials a second -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """Trials by the timing model.

    Attributes
    ----------
    workers : int
    seconds : float
        Of the clock on the wall: other processes of the computer lengthen it.
    trials : int
    tasks : float
        CPU seconds of all trials.
    overhead : float
        CPU seconds of the workers beside trials: messages, a thread of Dask.
    searcher : float
        CPU seconds of the searching process: drawing, storing, the scheduler of Dask.
    waiting : float
        The share of results at which a worker had no other task to begin.
    """

    workers: int
    seconds: float
    trials: int
    tasks: float
    overhead: float
    searcher: float
    waiting: float

    @property
    def possible(self) -> float:
        """Trials a second with this CPU time a trial, if two cores have nothing else to do."""
        each = (self.tasks + self.overhead) / self.trials
        own = self.searcher / self.trials
        cores = 2
        return min(self.workers / each, cores / (each + own))


def timed_cycles(job: Job, limit: float | None) -> tuple[dict[str, object], float]:
    """On a worker: :func:`model_cycles`, and its CPU time."""
    begin = time.process_time()
    return model_cycles(job, limit), time.process_time() - begin


def rate(workers: int, seconds: float) -> Rate:
    """Trials of layers of ResNet-18 (C2, C5, C8, C10), by the timing model only, behind those in
    which a process loads what it needs."""
    counts, names = workloads("ResNet-18")
    chosen = [w for w in counts if names[w] in ("C2", "C5", "C8", "C10")]
    with tempfile.TemporaryDirectory() as folder:
        log = ScheduleLog(Path(folder) / "log.sqlite", create=True)
        engine = open_engine(None, workers, estimates=True)
        assert isinstance(engine, DaskEngine)
        try:
            studies = [Study(log.path, w, CFG, "ddr", 0, 10_000) for w in chosen]
            waiting: dict[int, list[object]] = {}
            results: dict[int, dict[object, dict[str, object]]] = {}
            left, size = 0, together(len(studies), workers)

            def go_on(number: int) -> None:
                nonlocal left
                proposals = studies[number].ask()
                waiting[number], results[number] = [p.tiling for p in proposals], {}
                left += len(proposals)
                tasks = []
                for p in proposals:
                    job = {
                        "workload": chosen[number].to_dict(), "tiling": p.tiling.to_dict(),
                        "machine": CFG.to_dict(), "memory": "ddr",
                    }  # fmt: skip
                    tasks.append(Task(timed_cycles, (job, p.limit), (number, p.tiling)))
                for first in range(0, len(tasks), size):
                    engine.submit(*tasks[first : first + size])

            def busy() -> float:
                return sum(engine.client.run(time.process_time).values())

            for number in range(len(studies)):
                go_on(number)
            done = late = 0
            tasks = own = 0.0
            begin, before, worked = time.perf_counter(), time.process_time(), busy()
            while time.perf_counter() - begin < seconds:
                finished = engine.next()
                if finished.error is not None:
                    raise finished.error
                left -= 1
                late += -(-left // size) < workers
                number, tiling = finished.task.tag
                results[number][tiling], own = finished.value
                tasks += own
                done += 1
                if done == WARM:  # each process has imported, and loaded the kernel
                    begin, before, worked, tasks = (
                        time.perf_counter(), time.process_time(), busy(), 0.0,
                    )  # fmt: skip
                if len(results[number]) == len(waiting[number]):
                    studies[number].tell(results[number])
                    go_on(number)
            if done <= WARM:
                raise SystemExit(f"{done} trials in {seconds:.0f} s; give more --seconds")
            total_seconds = time.perf_counter() - begin
            searcher, overhead = time.process_time() - before, busy() - worked - tasks
            return Rate(workers, total_seconds, done - WARM, tasks, overhead, searcher, late / done)
        finally:
            engine.close()


def rates(seconds: float) -> str:
    found = [rate(1, seconds), rate(2, seconds)]
    one, two = found
    lines = [
        "| workers | trials | CPU of a trial | beside trials | searching process | no task waiting "
        "| trials a second, by CPU time | on the wall |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.workers} | {r.trials} | {1000 * r.tasks / r.trials:.0f} ms "
        f"| {1000 * r.overhead / r.trials:.1f} ms | {1000 * r.searcher / r.trials:.1f} ms "
        f"| {r.waiting:.0%} | {r.possible:.1f} | {r.trials / r.seconds:.1f} |"
        for r in found
    ]
    by_cpu = two.possible / one.possible
    wall = two.trials / two.seconds / (one.trials / one.seconds)
    return "\n".join(
        [*lines, "", f"Two workers against one: {by_cpu:.2f} by CPU time, {wall:.2f} on the wall."]
    )


# ---- the scheduler on paper ----------------------------------------------------------------------


@dataclass(frozen=True)
class Costs:
    """Of a trial.

    Attributes
    ----------
    worker : float
        Seconds of a worker.
    searcher : float
        Seconds of the searching process: drawing, storing.
    scheduler : float
        Seconds of Dask's scheduler and client.
    bytes : int
        Of the task and its result, as they are pickled.
    """

    worker: float
    searcher: float
    scheduler: float
    bytes: int

    MESSAGES = 6
    """Client to scheduler, scheduler to worker, worker to scheduler, scheduler to client; and the
    result from worker to client, asked for and sent."""


def nothing() -> None:
    """The task that costs only its messages."""


def costs() -> Costs:
    """Measured here: 64 trials of C5 in this process, and empty tasks through a real scheduler."""
    counts, names = workloads("ResNet-18")
    workload = next(w for w in counts if names[w] == "C5")
    with tempfile.TemporaryDirectory() as folder:
        log = ScheduleLog(Path(folder) / "log.sqlite", create=True)
        study = Study(log.path, workload, CFG, "ddr", 0, 64)
        engine, searcher, worker, count, size = InProcess(), 0.0, 0.0, 0, 0
        while not study.done:
            begin = time.process_time()
            proposals = study.ask()
            searcher += time.process_time() - begin
            results = {}
            for p in proposals:
                job = {
                    "workload": workload.to_dict(), "tiling": p.tiling.to_dict(),
                    "machine": CFG.to_dict(), "memory": "ddr",
                }  # fmt: skip
                begin = time.process_time()
                engine.submit(Task(model_cycles, (job, p.limit)))
                results[p.tiling] = engine.next().value
                worker += time.process_time() - begin
                count += 1
                size = len(pickle.dumps((identity(), model_cycles, (job, p.limit))))
                size += len(pickle.dumps(results[p.tiling]))
            begin = time.process_time()
            study.tell(results)
            searcher += time.process_time() - begin
    engine = open_engine(None, 1)
    try:
        tasks = 300
        begin = time.process_time()  # the local scheduler is a thread of this process
        for _ in range(tasks):
            engine.submit(Task(nothing, ()))
        for _ in range(tasks):
            engine.next()
        scheduler = (time.process_time() - begin) / tasks
    finally:
        engine.close()
    return Costs(worker / count, searcher / count, scheduler, size)


def simulate(workers: int, layers: int, cost: Costs, trials: int = 200) -> tuple[float, float]:
    """Events of a search: trials a second, and the share of time that workers work.

    The searcher draws and stores one batch at a time, the scheduler handles one task at a time, a
    layer has one batch in flight.
    """
    events: list[tuple[float, int, int]] = []  # when, kind (0: task back, 1: batch drawn), layer
    ready: deque[int] = deque()
    idle, now, busy = workers, 0.0, 0.0
    searcher = scheduler = 0.0
    left = [trials] * layers
    open_tasks = [0] * layers

    def draw(layer: int) -> None:
        nonlocal searcher
        searcher = max(searcher, now) + BATCH * cost.searcher
        heapq.heappush(events, (searcher, 1, layer))

    for layer in range(layers):
        draw(layer)
    while events:
        now, kind, layer = heapq.heappop(events)
        if kind:
            count = min(BATCH, left[layer])
            left[layer] -= count
            open_tasks[layer] = count
            ready.extend([layer] * count)
        else:
            idle += 1
            open_tasks[layer] -= 1
            if not open_tasks[layer] and left[layer]:
                draw(layer)
        while idle and ready:
            idle -= 1
            scheduler = max(scheduler, now) + cost.scheduler
            busy += cost.worker
            heapq.heappush(events, (scheduler + cost.worker, 0, ready.popleft()))
    return layers * trials / now, busy / (now * workers)


def scale() -> str:
    """The table: one network of ten layers, and twenty such networks at once."""
    cost = costs()
    lines = [
        f"A trial costs a worker {1000 * cost.worker:.0f} ms, the searching process "
        f"{1000 * cost.searcher:.1f} ms, Dask's scheduler and client "
        f"{1000 * cost.scheduler:.1f} ms, "
        f"and {cost.MESSAGES} messages with {cost.bytes:,} bytes of content.",
        "",
        "| workers | layers | trials a second | workers busy | messages a second | KB a second |",
        "|---|---|---|---|---|---|",
    ]
    for layers in (10, 200):
        for workers in (1, 10, 100, 1000):
            trials, busy = simulate(workers, layers, cost)
            lines.append(
                f"| {workers:,} | {layers} | {trials:,.0f} | {busy:.0%} "
                f"| {trials * cost.MESSAGES:,.0f} | {trials * cost.bytes / 1e3:,.0f} |"
            )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    parser.add_argument("--memory", action="append", choices=["ideal", "ddr"])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--log", type=Path, default=Path("build/tuning.sqlite"))
    parser.add_argument("--rate", action="store_true", help="trials a second only")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measured rate")
    parser.add_argument("--scale", action="store_true", help="the simulated scheduler only")
    options = parser.parse_args(arguments)
    if options.rate or options.scale:
        for wanted, key, table in (
            (options.rate, "rate", lambda: rates(options.seconds)),
            (options.scale, "scale", scale),
        ):
            if wanted:
                text = table()
                print(text, flush=True)
                write(PAGE, f"tuning, {key}", text)
        return
    for memory in options.memory or ["ideal", "ddr"]:
        for network in options.network or ["ResNet-18", "SqueezeNet 1.1", "MobileNetV2"]:
            text = search(network, memory, options.trials, options.workers, options.log)
            print(f"\n{network}, {memory}\n{text}", flush=True)
            write(PAGE, f"tuning, {network}, {memory}", text)


if __name__ == "__main__":
    main(sys.argv[1:])
