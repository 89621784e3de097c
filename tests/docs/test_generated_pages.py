"""The generated pages say what the package says."""

import re

import pytest

from docs.site import commands, instruction_set, python_api, registers, root_pages, rtl_blocks
from docs.site.python_references import exists
from vta import errors, memmap
from vta.cli import main
from vta.config import PRESETS, VTAConfig
from vta.isa import AluOpcode, Isa, MemId, Opcode


def rows(page: str) -> list[list[str]]:
    """The cells of all tables."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in page.splitlines()
        if line.startswith("|")
    ]


def test_every_register() -> None:
    found = {row[1]: row for row in rows(registers.page()) if row[0].startswith("`0x")}
    assert len(found) == len(memmap.REGISTERS)
    assert found["`CONTROL`"] == [
        "`0x014`", "`CONTROL`", "wo",
        "bit 0 launch (ignored while busy), bit 1 reset everything but the SRAMs",
    ]  # fmt: skip


def test_notes_of_error_codes() -> None:
    assert ["2", "`AXI_DECERR`", "The memory answered DECERR: nothing is at that address."] in rows(
        registers.page()
    )


@pytest.mark.parametrize("opcode", Opcode)
def test_every_field_of_every_preset(opcode: Opcode) -> None:
    page = rows(instruction_set.page())
    for column, name in enumerate(PRESETS, 1):
        for field in Isa.of(VTAConfig.preset(name)).format_of(opcode).fields:
            bits = {f"{field.offset + field.width - 1}:{field.offset}", str(field.offset)}
            cells = [row[column] for row in page if row[0].split()[0] == f"`{field.name}`"]
            assert bits & set(cells), (name, field)


def test_operations_and_memories() -> None:
    page = rows(instruction_set.page())
    for code in (*AluOpcode, *MemId):
        assert any(row[:2] == [str(code.value), f"`{code.name}`"] for row in page), code


def test_a_load_goes_to_the_module_of_its_memory() -> None:
    assert ["0", "`LOAD`", "compute (UOP, ACC, ACC_8BIT); load (WGT, INP)"] in rows(
        instruction_set.page()
    )


def test_every_option_of_every_command() -> None:
    page = commands.page()
    for name, command in main.commands.items():
        part = page.partition(f"## vta {name}\n")[2].partition("\n## ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert all(f"{option}" in part for option in parameter.opts), (name, parameter)


def test_every_public_module_has_a_page() -> None:
    pages = python_api.pages()
    assert "vta.te.md" in pages and ".. automodule:: vta.te" in pages["vta.te.md"]
    for names in python_api.MODULES.values():
        for name in names:
            assert f"{name}.md" in pages["index.md"]
    assert "vta.errors" in python_api.MODULES["Errors"]
    assert all(getattr(errors, name).__doc__ for name in errors.__all__)


def test_references_to_what_exists() -> None:
    assert exists("vta.compiler.te.tags")
    assert exists("vta.config.VTAConfig.from_file")
    assert exists("vta.isa.Gemm.start")  # a field of a dataclass with slots
    assert not exists("vta.config.VTAConfig.from_files")
    assert not exists("vta.nothing")


def test_the_start_page_is_the_readme() -> None:
    page = root_pages.start()
    assert page.startswith("# Start here\n") and "$ make photo" in page
    assert "](tutorials/photo.md)" in page and "](docs/" not in page
    assert "## What is in the tree" not in page and "# VTA," not in page


def test_names_of_the_package_have_a_page() -> None:
    page = python_api.pages()["vta.md"]
    assert ".. autofunction:: vta.build\n" in page and ".. autofunction:: vta.lower\n" in page
    assert "vta.load\n" not in page  # it is on the page of vta.networks


def test_every_block_of_the_rtl() -> None:
    pages = rtl_blocks.pages()
    for path in rtl_blocks.HW.glob("*/*.py"):
        if path.stem != "__init__":
            assert (
                f"automodule:: vta.hw.{path.parent.name}.{path.stem}\n"
                in (pages[f"{path.parent.name}.md"])
            ), path
    assert ".. autoclass:: vta.hw.compute.gemm.Gemm" in pages["compute.md"]


def test_rules_of_the_project() -> None:
    pages = root_pages.pages()
    assert "](tools/remote.md#security)" in pages["SECURITY.md"]
    assert "](decisions/index.md)" in pages["CONTRIBUTING.md"]
    assert not any("](.github" in text or "](docs/" in text for text in pages.values())
