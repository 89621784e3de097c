"""A layout for GTKWave with the signals of the simulated RTL to look at first, in groups.

The format is that of GTKWave's save files: a line for each signal, a line with flags before each
run of signals of one kind, and comments as headings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from vta.config import VTAConfig

__all__ = ["signals", "wave_layout"]

_BITS, _HEX, _DECIMAL, _HEADING = "@28", "@22", "@24", "@200"
"""Flags of GTKWave: right-justified binary, hexadecimal, decimal; a heading."""

_GROUPS: dict[str, tuple[str, ...]] = {
    "run": ("clk", "irq", "control.running"),
    "fetch": (
        "fetch.dispatched", "fetch.load__valid", "fetch.compute__valid", "fetch.store__valid",
    ),
    "load": (
        "load.insn__valid", "load.insn__payload[127:0]", "load.token_stall", "load.issue",
        "load.engine.busy", "load.retired",
    ),
    "compute: issue": (
        "compute.insn__valid", "compute.insn__ready", "compute.insn__payload[127:0]",
        "compute.issue.scoreboard.next_valid", "compute.issue.tokens_available",
        "compute.issue.scoreboard.dependencies[7:0]", "compute.issue.issued", "compute.retired",
    ),
    "compute: units": (
        "compute.loader.busy", "compute.loader.done", "compute.gemm.sequencer.op__valid",
        "compute.gemm.product", "compute.gemm.done", "compute.alu.sequencer.op__valid",
        "compute.alu.pipeline.hazards.uop__ready", "compute.alu.done",
        "compute.accumulators.load_stall",
    ),
    "store": (
        "store.insn__valid", "store.insn__payload[127:0]", "store.token_stall", "store.issue",
        "store.retired",
    ),
    "tokens": tuple(f"values.tokens_{queue}[31:0]" for queue in ("l2g", "g2l", "g2s", "s2g")),
    "bus: reads": (
        "m_axi__arvalid", "m_axi__arready", "m_axi__arid[3:0]", "m_axi__araddr[{addr}:0]",
        "m_axi__rvalid", "m_axi__rready", "m_axi__rid[3:0]", "m_axi__rlast",
    ),
    "bus: writes": (
        "m_axi__awvalid", "m_axi__awready", "m_axi__awaddr[{addr}:0]", "m_axi__wvalid",
        "m_axi__wready", "m_axi__wlast", "m_axi__bvalid", "m_axi__bready",
    ),
}  # fmt: skip


_SHARED_ENGINE = {
    "load.engine.busy": "compute.loader.engine.busy",
    "compute.loader.busy": "compute.loader.engine.busy",
    "compute.loader.done": "compute.loader.second_done",
}
"""Other paths of a machine with one load engine."""


def signals(cfg: VTAConfig, *, active: bool) -> dict[str, list[str]]:
    """The signals of each group by their paths in the wave file; buses with their range of bits.

    Parameters
    ----------
    active : bool
        The core has the activity probes, which are around it.
    """
    top = "TOP.vta_core.core." if active else "TOP.vta_core."
    addr = cfg.addr_bits - 1
    other = _SHARED_ENGINE if cfg.load_engines == 1 else {}
    return {
        group: [_path(other.get(name, name).format(addr=addr), top, active) for name in names]
        for group, names in _GROUPS.items()
    }


def _path(name: str, top: str, active: bool) -> str:
    if name.startswith("m_axi__") and not active:  # the ports of the top
        name = name.replace("__", "_")
    return top + name


def wave_layout(waves: Path, cfg: VTAConfig, *, active: bool) -> str:
    """The text of a ``.gtkw`` file beside the wave file ``waves``."""
    lines = [f'[dumpfile] "{waves.name}"', "[timestart] 0"]
    flags = ""
    for group, names in signals(cfg, active=active).items():
        lines += [_HEADING, f"-{group}"]
        flags = _HEADING
        for name in names:
            wanted = _BITS
            if name.endswith("]"):
                wanted = _DECIMAL if "tokens" in name else _HEX
            if wanted != flags:
                lines.append(wanted)
                flags = wanted
            lines.append(name)
    return "\n".join(lines) + "\n"
