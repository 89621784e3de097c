"""Writes the core as Verilog, with a JSON sidecar that describes it.

    python -m vta.hw.emit [--preset NAME | --config FILE] -o DIR

The same configuration gives the same bytes.
"""

import argparse
import contextlib
import gc
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vta import memmap
from vta.cache import prepare_builtin_yosys
from vta.config import PRESETS, VTAConfig
from vta.errors import VTAError
from vta.extras import importing
from vta.output import reported_output

with importing("the RTL", "rtl", script=__name__ == "__main__"):
    from amaranth._toolchain.yosys import find_yosys  # no public way to a script of one's own
    from amaranth.back import rtlil, verilog
    from amaranth.hdl import Value
    from amaranth.lib import wiring

    from vta.hw.core import Core
    from vta.hw.debug.activity_probes import ActiveCore
    from vta.hw.debug.stall_probes import ObservedCore
    from vta.hw.lib.simulated import SimulatorPlatform

TOP = "vta_core"
"""Name of the Verilog module and of the files."""


def _ports(core: Core) -> dict[str, tuple[Value, wiring.Flow]]:
    """Plain names (``m_axi_araddr``) for the members of the core."""
    return {
        "_".join(path): (Value.cast(value), member.flow)
        for path, member, value in core.signature.flatten(core)
    }


_INITIAL = re.compile(
    r"^  initial begin\n"
    r"    (?P<name>\\\S+ |\w+)\[0\] = (?P<value>\d+'[hd]\w+);\n"
    r"(?P<more>(?:    (?P=name)\[\d+\] = (?P=value);\n)*)"
    r"  end\n",
    re.MULTILINE,
)
"""The Verilog of a memory with one initial value everywhere: Yosys writes an assignment for each
word."""

LONGEST_LINE = 20_000
"""Characters."""

_YOSYS = (0, 40)
"""The oldest Yosys that Amaranth's own conversion supports."""

_FLATTEN = """\
proc
memory_collect
flatten
opt_clean
opt
attrmap -remove src -remove generator -remove top -remove hdlname
write_verilog -norename
"""
"""Yosys commands that flatten a design for a simulator: without processes and hierarchy, ``opt``
merges common expressions and infers the enables and resets of registers."""


def fold_initial(text: str) -> str:
    """Replace such assignments by loops, which removes two thirds of the default machine's text."""

    def loop(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        depth = 1 + match["more"].count("\n")
        index = f"\\{name.strip().lstrip(chr(92))}.index "
        return (
            f"  integer {index};\n"
            f"  initial for ({index}= 0; {index}< {depth}; {index}= {index}+ 1) "
            f"{name}[{index}] = {value};\n"
        )

    return _INITIAL.sub(loop, text)


def break_long_lines(text: str) -> str:
    """Break lines of more than :data:`LONGEST_LINE` characters behind commas: a reader has limits,
    Verilator 40,000 tokens a line, and the concatenation of a large array's weights has more."""
    return "\n".join(
        line.replace(", ", ",\n    ") if len(line) > LONGEST_LINE and '"' not in line else line
        for line in text.split("\n")
    )


_EMPTY_WIRE = re.compile(r"^  wire \[-1:0\] .*;\n", re.MULTILINE)
"""The name of a field without bits, which nothing reads: to Verilog it has two."""


def tidied(text: str) -> str:
    """Verilog of Yosys as files have it: without names of fields that have no bits,
    :func:`fold_initial`, then :func:`break_long_lines`."""
    return break_long_lines(fold_initial(_EMPTY_WIRE.sub("", text)))


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Elaboration makes millions of objects that stay: to look for garbage among them again and
    again is a third of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collections()
def emit_verilog(
    cfg: VTAConfig,
    *,
    dsp48: bool = False,
    wide_luts: bool = False,
    observed: bool = False,
    active: bool = False,
) -> tuple[str, dict[str, Any]]:
    """The Verilog text of the machine ``cfg`` (module :data:`TOP`), and its sidecar.

    For ``dsp48`` and ``wide_luts`` see :class:`~vta.hw.core.Core`; with
    ``observed`` it has a port for coverage, see :class:`~vta.hw.debug.stall_probes.ObservedCore`;
    with ``active`` one for profiles, see :class:`~vta.hw.debug.activity_probes.ActiveCore`.
    The sidecar holds the format's version, the configuration and its fingerprint, the version of
    the register map, the ports (name to direction and bits), the registers, and the SHA-256 of
    the text.

    Raises
    ------
    ToolError
        If no cache folder for Yosys can be written.
    """
    prepare_builtin_yosys()
    core = _core_class(observed, active)(cfg, dsp48=dsp48, wide_luts=wide_luts)
    ports = _ports(core)
    text = verilog.convert(
        core,
        name=TOP,
        # None: the direction follows from the design, which drives its outputs.
        ports={name: (value, None) for name, (value, _) in ports.items()},
        emit_src=False,
        strip_internal_attrs=True,
    )
    text = tidied(text)
    described = {
        "clk": ("input", 1),
        "rst": ("input", 1),
        **{
            name: ("output" if flow is wiring.Out else "input", len(value))
            for name, (value, flow) in ports.items()
        },
    }
    words = memmap.config_words(cfg)
    sidecar = {
        "format": 1,
        "top": TOP,
        "fingerprint": cfg.fingerprint,
        "config": cfg.to_dict(),
        "identity": memmap.IDENTITY,
        "version": memmap.VERSION,
        "config_words": list(words),
        "ports": {
            name: {"direction": direction, "bits": bits}
            for name, (direction, bits) in described.items()
        },
        "registers": [asdict(register) for register in memmap.REGISTERS],
        "verilog_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    return text, sidecar


def _core_class(observed: bool, active: bool) -> type[Core]:
    assert not (observed and active), "one port of probes a build"
    return ActiveCore if active else ObservedCore if observed else Core


@_without_collections()
def emit_flat(
    cfg: VTAConfig,
    *,
    observed: bool = False,
    active: bool = False,
    platform: SimulatorPlatform | None = None,
) -> str:
    """The same machine as :func:`emit_verilog` writes, as one module for a simulator.

    Ports, memories and timing are the same; the hierarchy is removed and common expressions are
    merged, so that Verilator generates a smaller program that runs a quarter faster. With a
    platform, blocks that have a form for simulators are in that form.

    Raises
    ------
    ToolError
        As :func:`emit_verilog`.
    """
    prepare_builtin_yosys()
    core = _core_class(observed, active)(cfg)
    ports = {name: (value, None) for name, (value, _) in _ports(core).items()}
    design = rtlil.convert(core, name=TOP, ports=ports, emit_src=False, platform=platform)
    yosys = find_yosys(lambda version: version >= _YOSYS)
    script = f"read_rtlil <<rtlil\n{design}\nrtlil\n{_FLATTEN}"
    return tidied(yosys.run(["-q", "-"], script, ignore_warnings=True))


def write(cfg: VTAConfig, folder: Path) -> list[Path]:
    """Write ``vta_core.v`` and ``vta_core.json`` into ``folder``, which is made if need be."""
    text, sidecar = emit_verilog(cfg)
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        folder / f"{TOP}.v": text,
        folder / f"{TOP}.json": json.dumps(sidecar, indent=2) + "\n",
    }
    for path, content in files.items():
        path.write_text(content, encoding="utf-8")
    return list(files)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m vta.hw.emit", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=PRESETS, default="default", help="a configuration")
    which.add_argument("--config", metavar="FILE", help="a vta_config.json")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True)
    args = parser.parse_args(argv)
    try:
        cfg = VTAConfig.from_file(args.config) if args.config else VTAConfig.preset(args.preset)
        for path in write(cfg, args.output):
            print(path)
    except (VTAError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    with reported_output():
        sys.exit(main())
