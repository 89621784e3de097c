"""The tables of docs/tools/configuration.md are what the configuration says
(``--update-golden``)."""

from pathlib import Path

import pytest

from vta.config import KEYS, PRESETS, VTAConfig
from vta.config_file import OLD_KEYS
from vta.errors import ConfigError
from vta.targets import TARGETS

PAGE = Path(__file__).parents[2] / "docs" / "tools" / "configuration.md"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def keys() -> str:
    default = VTAConfig().to_dict()
    rows = [
        ["`TARGET`", ", ".join(f"`{name}`" for name in TARGETS), f"`{default['TARGET']}`",
         "where programs run: the reference model, the simulated RTL, or a board"],
        ["`HW_VER`", "1 to 64 printable characters", f"`{default['HW_VER']}`",
         "a name for the version of the hardware; no size depends on it"],
    ]  # fmt: skip
    for key, (low, high, value, meaning) in KEYS.items():
        rows.append(
            [f"`{key}`", f"{low} to {high}" if low < high else f"{low}", f"{value}", meaning]
        )
    return table(["key", "range", "default", "meaning"], rows)


def presets() -> str:
    machines = [VTAConfig.preset(name).to_dict() for name in PRESETS]
    rows = [[f"`{key}`", *(str(values[key]) for values in machines)] for key in machines[0]]
    return table(["key", *(f"`{name}`" for name in PRESETS)], rows)


def old() -> str:
    return table(["key", "instead"], [[f"`{key}`", hint] for key, hint in OLD_KEYS.items()])


TABLES = {"keys": keys, "presets": presets, "old": old}


def test_tables(request: pytest.FixtureRequest) -> None:
    page = PAGE.read_text(encoding="utf-8")
    written = page
    for name, make in TABLES.items():
        before, mark, rest = written.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->\n")
        assert mark and end
        written = before + mark + make() + end + after
    if request.config.getoption("--update-golden"):
        PAGE.write_text(written, encoding="utf-8")
    else:
        assert page == written


@pytest.mark.parametrize("key", KEYS)
def test_ranges_are_what_is_refused(key: str) -> None:
    """The ends of a range are taken as far as this key is concerned, and what is beyond is not."""
    low, high, default, _ = KEYS[key]
    assert VTAConfig().to_dict()[key] == default
    for value, allowed in ((low - 1, False), (low, True), (high, True), (high + 1, False)):
        try:
            VTAConfig.from_dict({key: value})
        except ConfigError as error:
            assert (f"{key} is {value}; must be in {low}..{high}" in str(error)) != allowed
        else:
            assert allowed
