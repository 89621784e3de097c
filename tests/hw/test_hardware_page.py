"""The page on the microarchitecture states the constants of the RTL."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from amaranth.hdl import Fragment

from vta.config import BURST_BEATS, INSN_QUEUE_DEPTH, VTAConfig
from vta.hw.compute.gemm import Gemm
from vta.hw.frontend.fetch import StreamReader
from vta.isa import Isa

PAGE = (Path(__file__).parents[2] / "docs" / "hardware" / "hardware.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| [^|]+ \| `([\w.]+)` \| (\d+) \|$", PAGE, re.MULTILINE)


def constant(path):
    """The value of ``package.module.Class.NAME`` or ``package.module.NAME`` of ``vta.hw``."""
    package, module, *names = path.split(".")
    value = import_module(f"vta.hw.{package}.{module}")
    for name in names:
        value = getattr(value, name)
    return value


def test_the_table_has_rows():
    assert len(ROWS) >= 20
    assert len({path for path, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("path", "value"), ROWS)
def test_latencies_and_limits(path, value):
    assert constant(path) == int(value)


def test_numbers_in_the_text():
    gemm = Gemm(Isa.of(VTAConfig.preset("default")))
    Fragment.get(gemm, None)  # Amaranth warns of components that are never elaborated
    assert f"GEMM takes {gemm.latency} cycles from the start" in PAGE
    assert f"requests {StreamReader.CHUNK} beats at a time" in PAGE
    assert f"multiples of {BURST_BEATS} beats" in PAGE
    assert f"the queue of the compute module ({INSN_QUEUE_DEPTH} entries)" in PAGE
