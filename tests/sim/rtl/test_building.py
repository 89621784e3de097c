"""What is seen of a build where there is no terminal."""

from vta.sim.rtl.building import building


def test_lines_without_a_terminal(capsys):
    with building("1x4") as report:
        report("reading")
        report("file 1")
        report("file 2")
        report("linking")
    out, err = capsys.readouterr()
    assert not out
    assert err.splitlines() == [
        "tsim 1x4: reading ...",
        "tsim 1x4: file 1 ...",
        "tsim 1x4: linking ...",
        "tsim 1x4: built in 0 s",
    ]


def test_no_line_if_nothing_is_built(capsys):
    with building("1x4"):
        pass
    assert capsys.readouterr() == ("", "")


def test_the_callers_own_progress(capsys):
    told = []
    with building("1x4", told.append) as report:
        report("reading")
    assert told == ["reading"]
    assert capsys.readouterr() == ("", "")
