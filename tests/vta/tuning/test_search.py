"""Searches: deterministic, resumable, and nothing is stored that is wrong."""

import json
import sqlite3

import numpy as np
import pytest

from vta.config import VTAConfig
from vta.errors import TuningError
from vta.tuning import ScheduleLog, parse_workload
from vta.tuning import search as search_module
from vta.tuning.engine import Done, InProcess
from vta.tuning.evaluate import measure, model_cycles
from vta.tuning.search import Search, total
from vta.tuning.study import BATCH

TINY = VTAConfig.preset("tiny")
CALLS = ("conv2d((1, 8, 6, 6), 8, 3, padding=1)", "dense((1, 16), 16)")
TRIALS = 2 * BATCH


def make(log, engine=None, calls=CALLS, **options):
    workloads = {parse_workload(call, TINY): 1 for call in calls}
    return Search(log, TINY, workloads, engine or InProcess(), trials=TRIALS, **options)


def trials_of(search):
    return [[(t.number, t.tiling, t.cycles) for t in layer.study.trials] for layer in search.layers]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    log = ScheduleLog(tmp_path_factory.mktemp("log") / "log.sqlite", create=True)
    search = make(log)
    search.run()
    return log, search


def test_no_layer_is_slower_and_the_first_trial_is_the_default(finished):
    log, search = finished
    assert len(log.entries()) == len(CALLS)
    for layer in search.layers:
        assert layer.study.trials[0].tiling == layer.study.default
        assert layer.entry.cycles <= layer.entry.default_cycles
        assert layer.entry.trials == len({t.tiling for t in layer.study.trials}) <= TRIALS
    before, after = total(search.layers)
    assert after <= before == sum(layer.entry.default_cycles for layer in search.layers)


def test_stored_cycles_are_those_of_the_rtl(finished):
    log, _ = finished
    for entry in log.entries():
        job = {**entry.to_dict(), "memory": entry.memory}
        assert measure(job, "tsim", seed=5)["cycles"] == entry.cycles


def test_the_same_seed_gives_the_same_log(finished, tmp_path):
    log, search = finished
    again = ScheduleLog(tmp_path / "again.sqlite", create=True)
    second = make(again)
    second.run()
    assert trials_of(second) == trials_of(search)
    assert again.export() == log.export()


def test_the_log_of_a_search_replays(finished):
    """Each trial in the file gives the cycles that the file has."""
    log, search = finished
    with sqlite3.connect(log.path) as database:
        seen = {tiling for (tiling,) in database.execute("SELECT tiling FROM vta_trials")}
    database.close()
    recorded = [t.tiling.to_dict() for layer in search.layers for t in layer.study.trials]
    assert seen == {json.dumps(t) for t in recorded}
    for layer in search.layers:
        for trial in layer.study.trials:
            if trial.cycles is not None:
                found = model_cycles(search._job(layer, trial.tiling), None)
                assert found == {"cycles": trial.cycles, "estimate": trial.estimate}


class Interrupted(InProcess):
    """Stops after some results, as from the keyboard."""

    def __init__(self, results):
        super().__init__()
        self.results = results

    def next(self):
        self.results -= 1
        if self.results < 0:
            raise KeyboardInterrupt
        return super().next()


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(finished, tmp_path):
    log, search = finished
    again = ScheduleLog(tmp_path / "again.sqlite", create=True)
    for results in (BATCH + 3, 2 * BATCH, 5):
        with pytest.raises(KeyboardInterrupt):
            make(again, Interrupted(results)).run()
    second = make(again)
    second.run()
    assert trials_of(second) == trials_of(search)
    assert again.export() == log.export()


class Lying(InProcess):
    """Changes one number in the result of some schedules."""

    def __init__(self, lies):
        super().__init__()
        self.lies = lies

    def next(self):
        done = super().next()
        if "tiles" in done.value and self.lies(done.task.arguments[0]["tiling"]):
            done.value["tiles"].flat[7] += 1
            done.value["cycles"] = 1
        return done


def test_a_wrong_result_is_written_down_and_not_stored(finished, tmp_path):
    _, right = finished
    default = right.layers[0].study.default.to_dict()
    log = ScheduleLog(tmp_path / "log.sqlite", create=True)
    told = []
    search = make(
        log, Lying(lambda tiling: tiling != default), CALLS[:1],
        warn=told.append, wrong=tmp_path / "wrong",
    )  # fmt: skip
    search.run()
    (entry,) = log.entries()
    assert entry.tiling.to_dict() == default
    assert entry.cycles > 1
    assert told and "a wrong result of worker this process" in told[0]
    for file in (tmp_path / "wrong").iterdir():
        case = np.load(file)
        job = json.loads(str(case["job"]))
        result = measure(job, "sim", seed=0)["tiles"]
        assert (case["found"] != result).sum() == 1
        assert case["input_data"].shape == (1, 8, 6, 6)


class Liar(Lying):
    """A worker whose measured results are all wrong, and another one that does tasks again."""

    def __init__(self):
        super().__init__(lambda tiling: True)

    def elsewhere(self, done, why):
        if done.task.done_by:
            return False
        done.task.done_by.add(done.worker)
        value = done.task.function(*done.task.arguments)
        self.again.append(Done(done.task, value, None, "the other worker"))
        return True

    def next(self):
        return self.again.pop() if self.again else super().next()


def test_a_wrong_result_is_asked_of_another_worker(finished, tmp_path):
    """The log is the same as without the worker that lies."""
    log = ScheduleLog(tmp_path / "log.sqlite", create=True)
    engine = Liar()
    engine.again = []
    make(log, engine, wrong=tmp_path / "wrong").run()
    assert log.export() == finished[0].export()
    assert [*(tmp_path / "wrong").iterdir()]


@pytest.mark.parametrize("value", [None, {"cycles": 7}, {"cycles": 7, "tiles": "none"}])
def test_garbage_of_a_measurement(value, tmp_path, monkeypatch):
    log = ScheduleLog(tmp_path / "log.sqlite", create=True)
    monkeypatch.setattr(search_module, "measure", lambda job, target, seed: value)
    with pytest.raises(TuningError, match="worker this process returned no result of a trial"):
        make(log, calls=CALLS[:1]).run()
    assert not log.entries()


def test_a_wrong_result_of_the_default_schedule_is_an_error(tmp_path):
    log = ScheduleLog(tmp_path / "log.sqlite", create=True)
    search = make(log, Lying(lambda tiling: True), CALLS[:1], wrong=tmp_path)
    with pytest.raises(TuningError, match="the tiler's own schedule has no right result on tsim"):
        search.run()
    assert not log.entries()


@pytest.mark.parametrize("value", [None, {"cycles": -1}, {"cycles": "many"}, {}, {"other": 1}])
def test_garbage_from_a_worker(value, tmp_path, monkeypatch):
    log = ScheduleLog(tmp_path / "log.sqlite", create=True)
    monkeypatch.setattr(search_module, "model_cycles", lambda job, limit: value)
    with pytest.raises(TuningError, match="returned no result of a trial"):
        make(log, calls=CALLS[:1]).run()
    assert not log.entries()


def test_time_that_is_over_ends_with_measured_schedules(tmp_path):
    log = ScheduleLog(tmp_path / "log.sqlite", create=True)
    search = make(log, calls=CALLS[:1], seconds=0)
    search.run()
    assert len(search.layers[0].study.trials) == BATCH
    assert len(log.entries()) == 1


def test_a_disk_that_is_full_in_the_middle_of_a_run(finished, tmp_path, monkeypatch):
    """The log keeps what was stored, and the search can go on where there is space."""
    log = ScheduleLog(tmp_path / "log.sqlite", create=True)
    search = make(log, calls=CALLS[:1])
    connect = sqlite3.connect
    (most,) = connect(log.path).execute("PRAGMA page_count").fetchone()

    def full(*arguments, **options):
        database = connect(*arguments, **options)
        database.execute(f"PRAGMA max_page_count = {most + 1}")
        return database

    monkeypatch.setattr(sqlite3, "connect", full)
    with pytest.raises(TuningError, match="full"):
        search.run()
    monkeypatch.undo()
    with sqlite3.connect(log.path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()
    again = make(log, calls=CALLS[:1])
    again.run()
    assert trials_of(again) == trials_of(finished[1])[:1]
