"""Parts and families: the units in which cells are counted."""

from fractions import Fraction

import pytest

from vta.boards.synthesis.parts import (
    CYCLONE_V,
    ECP5,
    FAMILIES,
    PARTS,
    SEVEN,
    SynthesisError,
)


def test_cells_in_the_units_of_the_family():
    assert SEVEN.count({"LUT6": 10, "RAM32M": 2, "FDRE": 5, "RAMB18E1": 3, "CARRY4": 9}) == {
        "LUT": 18, "FF": 5, "DSP": 0, "BRAM36": Fraction(3, 2),
    }  # fmt: skip
    cells = {"MISTRAL_MUL9X9": 256, "MISTRAL_ALUT3": 3, "MISTRAL_ALUT6": 1, "MISTRAL_M10K": 7}
    assert CYCLONE_V.count(cells) == {
        "ALM": Fraction(5, 2), "FF": 0, "DSP": Fraction(256, 3), "M10K": 7,
    }  # fmt: skip
    assert ECP5.count({"LUT4": 4, "CCU2C": 1}) == {"LUT4": 6, "FF": 0, "DSP": 0, "EBR": 0}


def test_a_cell_of_unknown_cost_is_an_error():
    with pytest.raises(SynthesisError, match="7-series: the netlist holds 3 cells GTXE2"):
        SEVEN.count({"LUT1": 1, "GTXE2": 3})


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_cost_is_in_a_resource_of_the_family(family):
    for cost in family.costs.values():
        assert set(cost) <= set(family.resources)


@pytest.mark.parametrize("part", PARTS.values(), ids=lambda part: part.name)
def test_a_part_has_all_resources_of_its_family(part):
    assert tuple(part.capacity) == part.family.resources
