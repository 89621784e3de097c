"""The page of supported operators is what the registry says, and the front end agrees."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import helper

from tests.support.onnx_models import model
from vta.cli import main
from vta.compiler.frontend.onnx_constants import FOLDED
from vta.compiler.frontend.onnx_import import import_model
from vta.compiler.frontend.onnx_operators import IMPORTERS
from vta.errors import ModelError
from vta.operator_page import supported_operators

PAGE = Path(__file__).parents[2] / "docs" / "networks" / "supported-operators.md"


def test_the_page_is_current(request):
    result = CliRunner().invoke(main, ["ops", "--markdown"])
    assert result.exit_code == 0, result.output
    if request.config.getoption("--update-golden"):
        PAGE.write_text(result.stdout, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == result.stdout


def test_it_lists_what_the_front_end_reads():
    listed = {operator.name for operator in supported_operators()}
    assert listed | {"Constant", "Shape"} == {name for _, name in IMPORTERS}


def test_it_names_what_is_computed_of_constants_alone():
    listed = {operator.name for operator in supported_operators()}
    text = PAGE.read_text(encoding="utf-8").partition("| operator")[0]
    for kind in FOLDED - listed:
        assert f"`{kind}`" in text


def test_list():
    result = CliRunner().invoke(main, ["ops"])
    assert "Conv " in result.output and "accelerator" in result.output


X = np.ones((1, 4, 8, 8), np.float32)
REFUSED = {
    "Gemm": [("alpha must be positive", {"alpha": -2.0})],
    "MaxPool": [("dilations must be 1", {"kernel_shape": [2, 2], "dilations": [2, 2]})],
    "AveragePool": [("dilations must be 1", {"kernel_shape": [2, 2], "dilations": [2, 2]})],
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_page_excludes_is_refused(kind):
    (listed,) = (operator for operator in supported_operators() if operator.name == kind)
    for sentence, attributes in REFUSED[kind]:
        assert sentence in listed.constraints
        if kind == "Gemm":
            names, shapes = ["x", "w"], {"x": [4, 4]}
            weights = {"w": np.ones((4, 4), np.float32)}
            size = [4, 4]
        else:
            names, shapes, weights = ["x"], {"x": list(X.shape)}, {}
            size = [1, 4, 6, 6]
        node = helper.make_node(kind, names, ["y"], "n", **attributes)
        with pytest.raises(ModelError, match=rf"node n \({kind}\): "):
            import_model(model([node], shapes, {"y": size}, weights, opset=19), "m")
