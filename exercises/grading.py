"""What the tests of all exercises share: they find the answer that is to be graded."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

__all__ = ["ANSWERS", "answer_of"]

ANSWERS = "VTA_EXERCISE_ANSWERS"
"""The environment variable with the folder whose answers are graded instead of the student's."""


def answer_of(test_file: str) -> ModuleType:
    """The module ``answer.py`` beside a test, or of the folder of answers of the same name.

    Raises
    ------
    FileNotFoundError
        If there is no such answer.
    """
    folder = Path(test_file).parent
    folder = Path(os.environ[ANSWERS]) / folder.name if ANSWERS in os.environ else folder
    spec = importlib.util.spec_from_file_location(f"answer_{folder.name}", folder / "answer.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
