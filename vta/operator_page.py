"""The ONNX operators that are supported, from the registry of the compiler: the page that
``vta ops --markdown`` writes."""

from __future__ import annotations

from dataclasses import dataclass

from vta.compiler.graph.registry import OPERATORS

__all__ = ["SupportedOperator", "operators_as_markdown", "supported_operators"]


@dataclass(frozen=True)
class SupportedOperator:
    """An operator of ONNX.

    Attributes
    ----------
    name : str
    opset : int
        The first version that is supported.
    where : str
        ``accelerator`` or ``host``.
    constraints : tuple of str
        What must hold of a node, a sentence each.
    """

    name: str
    opset: int
    where: str
    constraints: tuple[str, ...]


def supported_operators() -> list[SupportedOperator]:
    """Every operator of ONNX that the front end takes, by name."""
    found = [
        SupportedOperator(
            name, opset, row.where,
            (*(constraint.sentence for constraint in row.constraints), *row.limits.get(name, ())),
        )
        for row in OPERATORS.values()
        for name, opset in row.onnx.items()
    ]  # fmt: skip
    return sorted(found, key=lambda operator: operator.name)


def operators_as_markdown() -> str:
    """The page docs/networks/supported-operators.md."""
    lines = [
        "# Supported ONNX operators",
        "",
        "<!-- Written by `vta ops --markdown > docs/networks/supported-operators.md`; "
        "a test compares. -->",
        "",
        "`accelerator`: the operator runs on the machine, as a program or fused into its producer. "
        "`host`: NumPy computes",
        "or moves the data between two programs of the machine; `vta run --no-host` refuses it "
        "inside a network. Every tensor",
        "that an operator of the accelerator reads or writes must be quantised to int8 or uint8 "
        "([networks](networks.md)). `Constant`",
        "and `Shape` are constants of the graph, and so is what "
        "`Ceil`, `ConstantOfShape`, `Floor`, `Mod`,",
        "`Range`, `ReduceProd`, `Tile` or `Trilu` computes of constants alone, as do most "
        "operators below. Nodes that no output depends on are left out. Attributes that are not "
        "named below may have any value that ONNX allows.",
        "",
        "| operator | from opset | runs on | constraints |",
        "|---|---|---|---|",
    ]
    for operator in supported_operators():
        constraints = "; ".join(operator.constraints)
        lines.append(
            f"| {operator.name} | {operator.opset} | {operator.where} | {constraints} |".replace(
                "|  |", "| |"
            )
        )
    return "\n".join(lines) + "\n"
