"""Names that are unique among others."""

from __future__ import annotations

import pytest

from vta.compiler.te.names import unique_name


@pytest.mark.parametrize(
    ("taken", "unique"),
    [
        ((), "i"),
        (("j", "i_1"), "i"),
        (("i",), "i_1"),
        (("i", "i_1", "i_3"), "i_2"),
    ],
)
def test_unique_name(taken: tuple[str, ...], unique: str) -> None:
    assert unique_name("i", taken) == unique
