"""Takes the written Verilog apart into its distinct modules.

The machine holds many modules of the same text (16 dot products, 16 ALU lanes, ...). Synthesis of
each distinct one once, with the modules inside it as black boxes, gives the resources of all.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from vta.boards.synthesis.parts import SynthesisError

__all__ = ["VerilogModule", "instances", "require_zero_memories", "split"]

_MODULE = re.compile(
    r"^(?P<box>\(\* blackbox.*?\*\)\n)?"
    r"(?P<text>module (?P<name>\\\S+ |\w+) ?\(.*?^endmodule\n)",
    re.MULTILINE | re.DOTALL,
)
_CELL = re.compile(r"^  (\\\S+|\w+)  ?(?:\\\S+ |\w+) \(\n", re.MULTILINE)
_PORT = re.compile(r"^  (?:input|output) (?:\[\d+:\d+\] )?(?:\\\S+ |\w+);\n", re.MULTILINE)
_INITIAL_LOOP = re.compile(r"^  initial for \(.*;\n", re.MULTILINE)
_MEMORY = re.compile(r"^  reg (?:\[\d+:\d+\] )?(\\\S+|\w+) ?\[\d+:\d+\];\n", re.MULTILINE)
_FIRST_VALUE = re.compile(
    r"^(?:  initial for \(.*\)|   ) (?P<name>\\\S+|\w+) ?\[[^\]\n]*\] = \d+'[dh](?P<value>\w+);\n",
    re.MULTILINE,
)
_COUNTED = re.compile(r"dump_module\$\d+")
_NUMBERED = re.compile(r"\\port\$\d+\$\d+ ")


@dataclass(frozen=True)
class VerilogModule:
    """One module of the text.

    Attributes
    ----------
    name : str
        As in the text: with the backslash of an escaped name, without the space after it.
    text : str
        From ``module`` to ``endmodule``.
    cells : tuple of str
        Names of the modules in it, one an instance.
    box : bool
        Whether it was marked as a black box: a hard block of the part, of which nothing is made.
    """

    name: str
    text: str
    cells: tuple[str, ...]
    box: bool = False

    @cached_property
    def stub(self) -> str:
        """The module as a black box: its ports, nothing in it."""
        head = self.text[: self.text.index(";\n") + 2]
        return f"(* blackbox *)\n{head}{''.join(_PORT.findall(self.text))}endmodule\n"

    def key(self, modules: dict[str, "VerilogModule"]) -> str:
        """A digest of all that its synthesis depends on; its own name and those inside do not."""
        stubs = {name: _nameless(modules[name], modules[name].stub) for name in self.cells}
        text = _COUNTED.sub("", _nameless(self, self.text))
        text = _CELL.sub(lambda cell: stubs.get(cell[1], cell[1]), text)
        # Ports without a name of their own have a number, another one in each instance.
        ports = {name: f"port{n} " for n, name in enumerate(dict.fromkeys(_NUMBERED.findall(text)))}
        text = _NUMBERED.sub(lambda port: ports[port[0]], text)
        return hashlib.sha256(text.encode()).hexdigest()


def _nameless(module: VerilogModule, text: str) -> str:
    return text.replace(f"module {module.name}", "module", 1)


def split(verilog: str) -> dict[str, VerilogModule]:
    """The modules of a text that Amaranth wrote, by name.

    Loops that give memories their first values are left out. Those values are zero, which is what
    block RAM holds anyway, and Yosys takes minutes to run the loops.

    Raises
    ------
    SynthesisError
        If there is none, or such a loop gives another value than zero.
    """
    found = {match["name"].strip(): match for match in _MODULE.finditer(verilog)}
    for name, match in found.items():
        for loop in _INITIAL_LOOP.findall(match["text"]):
            _require_zeros(name, loop, "synthesis of a module does without first values")
    texts = {name: _INITIAL_LOOP.sub("", match["text"]) for name, match in found.items()}
    if not texts:
        raise SynthesisError("the Verilog text holds no module")
    cells = {
        name: tuple(c for c in _CELL.findall(text) if c in texts) for name, text in texts.items()
    }
    return {
        name: VerilogModule(name, text, cells[name], box=found[name]["box"] is not None)
        for name, text in texts.items()
    }


def require_zero_memories(verilog: str, family: str) -> None:
    """Refuse memories that hold something at the start: for a mapping that leaves first values out.

    Tables, whose names begin with ``$``, are none: such a mapping keeps their values.

    Parameters
    ----------
    verilog : str
        As Amaranth writes it.
    family : str
        Its name, for the error.

    Raises
    ------
    SynthesisError
        Naming the memory, its module and the value.
    """
    for match in _MODULE.finditer(verilog):
        memories = set(_MEMORY.findall(match["text"]))
        for value in _FIRST_VALUE.finditer(match["text"]):
            if value["name"] in memories and not value["name"].startswith("\\$"):
                why = f"memories of {family} are mapped without first values"
                _require_zeros(match["name"].strip(), value[0], why)


def _require_zeros(module: str, text: str, why: str) -> None:
    """``text``: an assignment, or the loop with one."""
    found = _FIRST_VALUE.match(text)
    if found is None or not set(found["value"]) <= set("0x_"):
        what = f"{found['name']} starts with {found['value']}" if found else text.strip()[:200]
        raise SynthesisError(f"module {module}: memory {what}; must start with zeros: {why}")


def instances(modules: dict[str, VerilogModule], top: str) -> Iterator[str]:
    """The name of the module of every instance below and including ``top``.

    Raises
    ------
    SynthesisError
        If there is no module ``top``.
    """
    if top not in modules:
        raise SynthesisError(f"the Verilog text holds no module {top}")
    yield top
    for name in modules[top].cells:
        yield from instances(modules, name)
