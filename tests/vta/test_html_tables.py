"""What a notebook shows: tables, with everything escaped."""

from html.parser import HTMLParser

import vta
from vta import html_tables, te
from vta.config import VTAConfig
from vta.inspection import Inspection, NodeFinding
from vta.network import Step
from vta.run_result import Counters, RunResult
from vta.runtime.network import LayerRun, NetworkRun

EVIL = '<script>alert("x")</script> & more'


class Shape(HTMLParser):
    """Cells by row, and the tags that were opened and not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_table() -> None:
    shape = Shape(html_tables.table(["a", EVIL], [[12345, None], [EVIL, True]], EVIL))
    assert shape.rows == [["a", EVIL], ["12,345", ""], [EVIL, "True"]]
    assert not shape.open and shape.tags == {"table", "caption", "tr", "th", "td"}


def test_code() -> None:
    text = html_tables.code("for i in range(4):\n    a < b & c")
    assert text.endswith("for i in range(4):\n    a &lt; b &amp; c</pre>")
    text = html_tables.code("for i in range(4):\n    load_2d(INP, a)\n    x = f(<)")
    assert text.endswith("(4):\n    <b>load_2d</b>(INP, a)\n    x = f(&lt;)</pre>")


def test_configuration() -> None:
    rows = dict(Shape(VTAConfig()._repr_html_()).rows)
    assert rows["multipliers"] == "256"
    assert rows["wgt SRAM"] == "1,024 elements of 256 bytes"
    assert rows["one product"] == "1x16 by 16x16, int8 by int8"


def test_run_result() -> None:
    rows = dict(Shape(RunResult(Counters(gemm_counter=4096), 5000)._repr_html_()).rows)
    assert rows["gemm_counter"] == "4,096" and rows["cycle_count"] == "5,000"
    assert "cycle_count" not in dict(Shape(RunResult(Counters())._repr_html_()).rows)


def test_lowered_program() -> None:
    env = vta.get_env()
    a = te.placeholder((4, env.BATCH, env.BLOCK_OUT), name="a", dtype=env.acc_dtype)
    b = te.compute(a.shape, lambda *i: te.max(a(*i), 0), name="b")
    func = vta.lower(te.create_schedule(b.op), [a, b], stage="nest")
    assert Shape(func._repr_html_()).tags == {"pre"}
    assert "max(a[i0, " in func._repr_html_()


def test_inspection() -> None:
    found = Inspection("net", True, (NodeFinding(EVIL, "Conv", "host", "why", 1234),), (EVIL,))
    shape = Shape(found._repr_html_())
    assert shape.rows[1] == [EVIL, "Conv", "host", "1,234", "", "", "why"]
    assert not shape.open and "script" not in shape.tags


def test_network_run() -> None:
    """Steps of the host have no counters; the last row is the sum."""
    step = Step(EVIL, "softmax", ("x",), "y")
    run = NetworkRun(
        {}, (LayerRun(step, None), LayerRun(step, RunResult(Counters(gemm_counter=7), 1000)))
    )
    shape = Shape(run._repr_html_())
    assert [row[3:5] for row in shape.rows[1:]] == [["", ""], ["1,000", "7"], ["1,000", "7"]]
    assert shape.rows[1][0] == EVIL and "script" not in shape.tags
