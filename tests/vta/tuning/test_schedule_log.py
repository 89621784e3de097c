"""The log of schedules: what it keeps, and files that are none."""

import json
import sqlite3
from dataclasses import replace

import pytest

from vta.config import MICROARCHITECTURE, VTAConfig
from vta.errors import TuningError
from vta.tuning import Entry, ScheduleLog, parse_workload, tuned
from vta.tuning.trial_store import Trial, TrialStore

DEFAULT = VTAConfig()
TINY = VTAConfig.preset("tiny").replace(
    **{key.lower(): getattr(DEFAULT, key.lower()) for key in MICROARCHITECTURE}
)
"""With the micro-architecture that a log of the first format does not say."""
CALL = "conv2d((1, 8, 9, 9), 12, 3, padding=1)"


def entry(call=CALL, cycles=90, memory="ideal", cfg=TINY):
    workload = parse_workload(call, cfg)
    tiling = replace(workload.operator(cfg).tiling, cost=None, rows=1)
    return Entry(cfg, memory, workload, tiling, cycles, 100, "tsim", "1+abc", 0, 8)


@pytest.fixture
def log(tmp_path):
    return ScheduleLog(tmp_path / "log.sqlite", create=True)


def test_the_faster_of_two_schedules_stays(log):
    assert log.add([entry(cycles=90)]) == 1
    assert log.add([entry(cycles=95)]) == 0
    assert log.add([entry(cycles=80), entry(memory="ddr"), entry(cfg=TINY.replace(extension=0))])
    assert [each.cycles for each in log.entries(TINY, "ideal")] == [80]
    assert len(log.entries()) == 3


def test_operators_take_the_schedules_of_a_log(log):
    found = entry()
    log.add([found])
    with tuned(log, TINY):
        assert found.workload.operator(TINY).tiling == found.tiling
        other = parse_workload("conv2d((1, 8, 7, 7), 12, 3)", TINY)
        assert other.operator(TINY).tiling.cost is not None  # the tiler's
        assert found.workload.operator(TINY.replace(log_bus_width=7)).tiling != found.tiling
    with pytest.raises(TuningError, match=r"no schedule for the machine .* and the memory ddr"):
        tuned(log, TINY, "ddr")


def test_machines_that_differ_in_their_micro_architecture_only(log):
    """Cycles depend on it: each machine has its own schedule, and no other takes it."""
    small = TINY.replace(issue_depth=1, log_acc_banks=0)
    assert small.fingerprint == TINY.fingerprint
    assert log.add([entry(cycles=50), entry(cycles=90, cfg=small)]) == 2
    assert [each.cycles for each in log.entries(small)] == [90]
    assert [each.cycles for each in log.entries(TINY)] == [50]
    with pytest.raises(TuningError, match=r"_micro8\.4\.2\.64\.16\.32\.32 and .*has schedules for"):
        log.tilings(TINY.replace(load_rows=16))
    lines = entry(cfg=small).to_dict()
    lines["machine"] = TINY.to_dict()
    with pytest.raises(
        TuningError, match=r"the entry is for .*_micro1\..*, its machine is .*_micro8"
    ):
        Entry.from_dict(lines)


def test_an_entry_from_before_a_key_is_for_its_default(log):
    """A machine that has another value is another machine."""
    values = entry().to_dict()
    assert values["fingerprint"].endswith("_micro8.4.2.64.32.32.32")
    del values["machine"]["LOG_ALU_BEATS"]
    assert Entry.from_dict(values).machine == TINY
    fewer_lanes = TINY.replace(log_alu_beats=1)
    log.add([entry(cycles=50), entry(cycles=90, cfg=fewer_lanes)])
    assert [each.cycles for each in log.entries(fewer_lanes)] == [90]
    assert [each.cycles for each in log.entries(TINY)] == [50]


def first_format(log, forget=()):
    """Makes a log one of format 1: keys without the micro-architecture; perhaps entries, too."""
    with sqlite3.connect(log.path) as database:
        for row, machine in database.execute("SELECT rowid, machine FROM vta_schedules").fetchall():
            values = {key: value for key, value in json.loads(machine).items() if key not in forget}
            database.execute(
                "UPDATE vta_schedules SET machine = ?, fingerprint = "
                "substr(fingerprint, 1, instr(fingerprint, '_micro') - 1) WHERE rowid = ?",
                (json.dumps(values), row),
            )
        database.executescript("DROP TABLE vta_trials; DROP TABLE vta_studies;")
        database.execute("UPDATE vta_log SET format = 1")
    database.close()


@pytest.mark.parametrize("forget", [(), MICROARCHITECTURE])
@pytest.mark.parametrize("change", [{}, {"issue_depth": 1}])
def test_a_log_of_the_first_format(log, tmp_path, change, forget):
    """An entry is for the machine that it has; what it does not have was the default then."""
    cfg = TINY.replace(**change)
    other = TINY.replace(issue_depth=4)
    log.add([entry(cfg=cfg)])
    first_format(log, forget)
    measured = TINY if forget else cfg
    content = log.path.read_bytes()
    assert [each.machine for each in ScheduleLog(log.path).entries(measured)] == [measured]
    assert not ScheduleLog(log.path).entries(other)
    copy = ScheduleLog(tmp_path / "copy.sqlite", create=True)
    assert copy.merge(log.path) == 1
    assert log.path.read_bytes() == content, "reading changes nothing"
    assert ScheduleLog(log.path).add([entry(cfg=other, cycles=95)]) == 1
    assert len(log.entries()) == 2
    assert [each.cycles for each in log.entries(measured)] == [90]
    assert not ScheduleLog(log.path).add([entry(cfg=measured, cycles=99)])


def test_an_export_of_the_first_format(log, tmp_path):
    values = entry().to_dict()
    values["fingerprint"] = values["fingerprint"].partition("_micro")[0]
    for key in MICROARCHITECTURE:
        del values["machine"][key]
    lines = tmp_path / "log.jsonl"
    lines.write_text(json.dumps(values))
    assert log.merge(lines) == 1
    assert [each.machine for each in log.entries(TINY)] == [TINY]


def test_export_and_merge(log, tmp_path):
    log.add([entry(), entry("dense((1, 16), 8)")])
    lines = tmp_path / "log.jsonl"
    lines.write_text(log.export())
    other = ScheduleLog(tmp_path / "other.sqlite", create=True)
    other.add([entry(cycles=70)])
    assert other.merge(lines) == 1
    assert sorted(each.cycles for each in other.entries()) == [70, 90]
    assert log.merge(other.path) == 1
    assert log.export() == other.export()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("cycles", 1.5, "cycles is 1.5; must be an integer of at least 1"),
        ("cycles", True, "cycles is True; must be"),
        ("cycles", 10**30, "cycles is 1000.*; must be an integer"),
        ("trials", -4, "trials is -4; must be an integer of at least 1"),
        ("memory", "quick", "memory is 'quick'; must be ideal or ddr"),
        ("device", "nowhere", "device is 'nowhere'; must be sim or tsim"),
        ("version", 3, "version is 3; must be a text"),
    ],
)
def test_values_that_no_entry_has(key, value, words, log, tmp_path):
    lines = tmp_path / "log.jsonl"
    lines.write_text("\n" + json.dumps({**entry().to_dict(), key: value}) + "\n\n")
    with pytest.raises(TuningError, match=f"line 2: no entry of a log of schedules: {words}"):
        log.merge(lines)
    assert not log.entries()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("cycles = 'x'", "cycles are 'x'"),
        ("point = '[1]'", "must map names to numbers"),
        ("tiling = '{}'", "tiling: missing or unknown"),
    ],
)
def test_damaged_trials(change, words, log):
    tiling = entry().tiling
    TrialStore(log.path, "study", {}).add([Trial(0, {"rows": 0.5}, tiling, 90, 95)])
    assert TrialStore(log.path, "study", {}).trials()[0].tiling == tiling
    with sqlite3.connect(log.path) as database:
        database.execute(f"UPDATE vta_trials SET {change}")
    with pytest.raises(TuningError, match=f"no trial: .*{words}"):
        TrialStore(log.path, "study", {}).trials()


def test_a_foreign_line_is_refused_and_nothing_is_added(log, tmp_path):
    lines = tmp_path / "log.jsonl"
    for bad in ("{", "[]", '{"cycles": 1}', entry().to_dict()):
        if isinstance(bad, dict):
            bad["tiling"]["rows"] = 900
            bad = json.dumps(bad)
        lines.write_text(json.dumps(entry().to_dict()) + "\n" + bad + "\n")
        with pytest.raises(TuningError, match="line 2"):
            log.merge(lines)
        assert not log.entries()
    lines.write_text("[" * 100_000)
    with pytest.raises(TuningError, match="line 1"):
        log.merge(lines)
    lines.write_bytes(b"\xff\xfe\0")
    with pytest.raises(TuningError, match="neither a log of schedules nor JSON lines"):
        log.merge(lines)


def test_files_that_are_no_log(tmp_path):
    missing = tmp_path / "missing.sqlite"
    with pytest.raises(TuningError, match="no such log of schedules"):
        ScheduleLog(missing)
    assert not missing.exists()
    text = tmp_path / "text.sqlite"
    text.write_text("a text that is long enough for a header of a database")
    with pytest.raises(TuningError, match="file is not a database"):
        ScheduleLog(text, create=True)
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    database.close()
    with pytest.raises(TuningError, match="database of another program"):
        ScheduleLog(foreign, create=True)
    with pytest.raises(TuningError, match="cannot open"):
        ScheduleLog(text / "log.sqlite", create=True)


def test_a_newer_format_and_damaged_rows(log):
    log.add([entry()])
    with sqlite3.connect(log.path) as database:
        database.execute("UPDATE vta_schedules SET tiling = '{\"rows\": 1}'")
    database.close()
    with pytest.raises(TuningError, match=r"log\.sqlite: .*missing or unknown"):
        log.entries()
    with sqlite3.connect(log.path) as database:
        database.execute("UPDATE vta_log SET format = 99")
    database.close()
    with pytest.raises(TuningError, match="format 99; this version reads 1 and 2"):
        ScheduleLog(log.path)


def test_a_damaged_database(log):
    log.add([entry()])
    content = bytearray(log.path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    log.path.write_bytes(content)
    with pytest.raises(TuningError, match=r"malformed|not a log"):
        log.entries()


def test_a_full_disk_leaves_the_log_as_it_was(log, monkeypatch):
    """SQLite itself reports the end of space: the file may not grow."""
    log.add([entry()])
    before = log.export()
    connect = sqlite3.connect

    def full(*arguments, **options):
        database = connect(*arguments, **options)
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        return database

    monkeypatch.setattr(sqlite3, "connect", full)
    more = [entry(f"conv2d((1, 8, {size}, 9), 12, 3)") for size in range(4, 12)]
    with pytest.raises(TuningError, match="full"):
        log.add(more)
    monkeypatch.undo()
    assert log.export() == before
