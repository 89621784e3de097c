"""The log of schedules: what it keeps, and files that are none."""

import json
import sqlite3
from dataclasses import replace

import pytest

from vta.config import VTAConfig
from vta.errors import TuningError
from vta.tuning import Entry, ScheduleLog, parse_workload, tuned

TINY = VTAConfig.preset("tiny")
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
    with pytest.raises(TuningError, match="format 99; this version reads 1"):
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
