"""Resizing as onnxruntime does: nearest by whole factors on the accelerator, all else on the
host."""

import numpy as np
import pytest
from onnx import helper

from tests.compiler.graph.test_pointwise import SHAPE, between_convolutions, int8, run, stored_steps
from tests.support.networks import integer
from tests.support.onnx_models import inputs_of, model
from vta.compiler.frontend.onnx_import import import_model
from vta.errors import ModelError
from vta.host_operators import HOST_OPERATORS

PLACES = ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners")
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")


def resized(factors, *, kernel=(3, 3), **attributes):
    """A convolution, a resizing and a convolution."""
    scales = np.float32([1, 1, *factors])
    node = helper.make_node(
        "Resize", ["a", "", "scales"], ["z"], "resize", **{"mode": "nearest", **attributes}
    )
    size = [int(extent * factor) for extent, factor in zip(SHAPE[2:], factors)]
    return between_convolutions([node], more={"scales": scales}, size=size, kernel=kernel)


@pytest.mark.parametrize("factors", [(2, 2), (3, 1), (4, 8), (1.5, 2), (0.8, 0.75)])
def test_factors(factors, tmp_path):
    attributes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    made = resized(factors, **attributes)
    path = int8(made, tmp_path)
    graph = integer(path)
    whole = all(factor == int(factor) for factor in factors)
    assert ("upsample" if whole else "resize") in {node.operator for node in graph.nodes}
    ran = run(graph, inputs := inputs_of(made, 8))
    assert stored_steps(path, inputs, ran, "y") <= 1.01


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_modes(place, rounding, tmp_path):
    made = resized((2.5, 3), coordinate_transformation_mode=place, nearest_mode=rounding)
    path = int8(made, tmp_path)
    ran = run(integer(path), inputs := inputs_of(made, 8))
    assert stored_steps(path, inputs, ran, "y") <= 1.01


def test_what_is_not_supported():
    for attribute, value in (("mode", "bicubic"), ("coordinate_transformation_mode", "tf_crop")):
        node = helper.make_node("Resize", ["x", "", "s"], ["y"], "resize")
        node.attribute.append(helper.make_attribute(attribute, value))
        if attribute != "mode":
            node.attribute.append(helper.make_attribute("mode", "nearest"))
        shape = {"x": [1, 2, 4, 4]}
        made = model([node], shape, {"y": [1, 2, 8, 8]}, {"s": np.float32([1, 1, 2, 2])})
        with pytest.raises(ModelError, match=f"attribute {attribute} is '{value}'; must be"):
            import_model(made, "m")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("mode", ("linear", "cubic"))
def test_between_pixels(mode, place, tmp_path):
    factors = (2, 3) if place == "align_corners" else (1.5, 3)
    made = resized(factors, coordinate_transformation_mode=place, mode=mode)
    path = int8(made, tmp_path)
    graph = integer(path)
    assert "resample" in {node.operator for node in graph.nodes}
    ran = run(graph, inputs := inputs_of(made, 8))
    assert stored_steps(path, inputs, ran, "y") <= 1.01


@pytest.mark.parametrize("factors", [(0.5, 0.5), (1, 0.5), (0.5, 1), (2, 0.5), (0.5, 3)])
@pytest.mark.parametrize("mode", ("linear", "cubic"))
def test_fewer_pixels(mode, factors, tmp_path):
    """Also of a network that was read from a file, which is checked."""
    place = {"coordinate_transformation_mode": "half_pixel"}
    made = resized(factors, mode=mode, kernel=(1, 1), **place)
    path = int8(made, tmp_path)
    ran = run(integer(path), inputs := inputs_of(made, 8))
    assert stored_steps(path, inputs, ran, "y") <= 1.01


def test_sums_between_the_axes_are_bounded():
    """A file whose data and result are small, and whose sums of rows are not."""
    size = HOST_OPERATORS["resample"].size
    many = [(1, 1, 1, 1 << 16), (1 << 16, 2), (1, 2), (1 << 16, 2), (1, 2)]
    with pytest.raises(ValueError, match="4294967296 sums of rows; at most"):
        size(many, {})
    assert size([(1, 2, 8, 6), (4, 2), (3, 2), (4, 2), (3, 2)], {}) == 2 * 4 * 3


def test_two_definitions_of_align_corners():
    """Where the extent is not the scale times the data's, ONNX's cases and onnxruntime differ."""
    node = helper.make_node(
        "Resize", ["x", "", "s"], ["y"], "resize", mode="linear",
        coordinate_transformation_mode="align_corners",
    )  # fmt: skip
    made = model(
        [node], {"x": [1, 2, 4, 4]}, {"y": [1, 2, 3, 3]}, {"s": np.float32([1, 1, 0.8, 0.8])}
    )
    with pytest.raises(
        ModelError, match=r"0\.8 times 4 pixels with align_corners; must be a whole"
    ):
        import_model(made, "m")
