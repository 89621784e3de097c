"""Write the pictures of docs/pictures: ``python -m docs.pictures``."""

from __future__ import annotations

from pathlib import Path

from docs.pictures.drawing import THEMES
from docs.pictures.machine import machine
from docs.pictures.microarchitecture import microarchitecture
from docs.pictures.pipelines import pipelines
from docs.pictures.tiling import tiling
from docs.pictures.token import token

__all__ = ["PICTURES", "drawn"]

PICTURES = {
    "machine": machine, "microarchitecture": microarchitecture, "pipelines": pipelines,
    "token": token, "tiling": tiling,
}  # fmt: skip


def drawn() -> dict[str, str]:
    """Every picture in both themes, by file name."""
    return {
        f"{name}{theme.suffix}.svg": draw(theme)
        for name, draw in PICTURES.items()
        for theme in THEMES
    }


if __name__ == "__main__":
    for file, text in drawn().items():
        Path(__file__).with_name(file).write_text(text, encoding="utf-8")
