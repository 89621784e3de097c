"""onnx's own cases of single nodes: each passes or is refused with a reason, none fails."""

import pytest

from tests.support.onnx_conformance import as_they_are, in_int8, table
from vta.compiler.graph.registry import OPERATORS


def failures(found):
    return {name: why for name, (kind, why) in found.items() if kind == "failed"}


@pytest.mark.filterwarnings("ignore")  # NumPy's, while onnx makes its cases
def test_cases_as_they_are(tmp_path):
    """Most are refused: they compute with real numbers."""
    found = as_they_are(tmp_path)
    assert not failures(found)
    assert all(why for kind, why in found.values() if kind == "refused")
    assert table(found)["passed"] >= 383


@pytest.mark.filterwarnings("ignore")
def test_cases_of_supported_operators_in_int8(tmp_path):
    operators = {kind for row in OPERATORS.values() for kind in row.onnx}
    found = in_int8(tmp_path, operators)
    assert not failures(found)
    assert all("must" in why for kind, why in found.values() if kind == "refused"), found
    assert table(found)["passed"] >= 280
