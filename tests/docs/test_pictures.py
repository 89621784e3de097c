"""The pictures are what their scripts draw (``--update-golden`` writes them)."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

import docs.pictures.__main__ as pictures
from docs.pictures.drawing import DARK, LIGHT, Drawing
from docs.pictures.measured import measured

FOLDER = Path(pictures.__file__).parent
FILES = [f"{name}{theme.suffix}.svg" for name in pictures.PICTURES for theme in (LIGHT, DARK)]


@pytest.mark.parametrize("name", FILES)
def test_picture(name: str, request: pytest.FixtureRequest) -> None:
    text, path = pictures.drawn()[name], FOLDER / name
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_there_are_no_others() -> None:
    assert {path.name for path in FOLDER.glob("*.svg")} == set(FILES)


def inside(text: str) -> bool:
    """Whether all boxes are on the paper."""
    root = ElementTree.fromstring(text)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = [item.attrib for item in root if item.tag.endswith("rect")]
    return bool(boxes) and all(
        float(box.get("x", 0)) >= 0
        and float(box.get("y", 0)) >= 0
        and float(box.get("x", 0)) + float(box["width"]) <= width
        and float(box.get("y", 0)) + float(box["height"]) <= height
        for box in boxes
    )


def test_everything_is_on_the_paper() -> None:
    assert all(inside(text) for text in pictures.drawn().values())


def test_measured_pictures() -> None:
    drawn = measured()
    assert all(inside(text) for text in drawn.values())
    assert len(re.findall(r"channels, 14 x 14", drawn["timeline.svg"])) == 1
    assert drawn["timeline.svg"].count("<rect") > 100
    assert "a product in every cycle" in drawn["roofline-dark.svg"]


def test_text_is_escaped() -> None:
    drawing = Drawing(10, 10, "a < b", LIGHT)
    drawing.text(0, 0, "<&>")
    assert "&lt;&amp;&gt;" in drawing.svg() and "<title>a &lt; b</title>" in drawing.svg()
