"""`vta exec`: run a raw instruction stream on a DRAM image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from vta.cli.options import (
    ADDRESS,
    EXISTING_FILE,
    FILE,
    machine,
    machine_options,
    read,
    require_other,
    require_stream,
    target_option,
)
from vta.config import INSN_BYTES
from vta.errors import ExecutionError
from vta.file_kinds import kind_of
from vta.whole_files import write_all

if TYPE_CHECKING:
    from vta.config import VTAConfig
    from vta.run_result import RunResult
    from vta.sim.memory import Memory
    from vta.sim.rtl.machine import VerilatedMachine

__all__ = ["execute"]


@click.command("exec")
@click.argument("insns", type=EXISTING_FILE)
@click.option("--dram", type=EXISTING_FILE, help="The DRAM image before the run. Required.")
@click.option(
    "--base", default="0x1000", show_default=True, type=ADDRESS,
    help="Physical address of the image's first byte.",
)  # fmt: skip
@machine_options()
@target_option(
    ("sim", "tsim"),
    help="The reference model, or the RTL in Verilator. Default: the configuration's TARGET, "
         "sim where that is a board.",
)  # fmt: skip
@click.option("--memory", help="tsim: behaviour of the simulated DRAM, as `ideal` or `ddr`.")
@click.option(
    "--trace", type=FILE,
    help="tsim: write waves to this FST file, and a layout for GTKWave beside it (.gtkw).",
)  # fmt: skip
@click.option(
    "--from-instruction", "first", type=click.IntRange(0), metavar="N",
    help="--trace: waves from the dispatch of this instruction on.",
)  # fmt: skip
@click.option(
    "--to-instruction", "last", type=click.IntRange(0), metavar="M",
    help="--trace: waves until this instruction and all older ones have retired.",
)  # fmt: skip
@click.option(
    "--trace-events", "events", type=FILE,
    help="tsim: write the times of all instructions to this file, for ui.perfetto.dev; gzipped if "
         "its name ends in .gz. Also after an error.",
)  # fmt: skip
@click.option("--out", type=FILE, help="Write the DRAM image after the run.")
@click.option("--stats", type=FILE, help="Write the counters as JSON; without it they are printed.")
def execute(
    insns: Path,
    dram: Path | None,
    base: int,
    config: Path | None,
    preset: str | None,
    target: str | None,
    memory: str | None,
    trace: Path | None,
    first: int | None,
    last: int | None,
    events: Path | None,
    out: Path | None,
    stats: Path | None,
) -> None:
    """Run the raw instruction stream INSNS (16-byte little-endian words) on a DRAM image.

    A saved program is run by `vta run`. Nothing outside the image is touched. If the run ends in an
    error, no file is written but those of the traces.
    """
    from vta.sim.memory import Memory

    stream = read(insns)
    kind = kind_of(stream) or ""
    if kind.endswith((" (.vta)", " (.vtanet)")):
        raise click.UsageError(
            f"{insns} is {kind.partition(' (')[0]}, not a raw instruction stream; run it by: vta "
            f"run {insns} --input NAME=FILE.npy --output NAME=FILE.npy"
        )
    require_stream(insns, stream)
    for option, written in (
        ("--out", out), ("--stats", stats), ("--trace", trace), ("--trace-events", events)
    ):  # fmt: skip
        require_other(option, written, insns, config)
    if out is not None and stats is not None and out.resolve() == stats.resolve():
        raise click.UsageError(f"--stats: {stats} is that of --out, too")
    if dram is None:
        raise click.UsageError("--dram is missing: the DRAM image that the stream works on")
    cfg = machine(config, preset)
    target = target or ("tsim" if cfg.target == "tsim" else "sim")
    if target == "sim" and (memory or trace or events):
        option = "--memory" if memory else "--trace" if trace else "--trace-events"
        raise click.UsageError(f"{option} is for --target tsim: the reference model has no bus")
    window = _window(len(stream) // INSN_BYTES, trace, first, last)
    image = Memory(base, np.frombuffer(bytearray(read(dram)), np.uint8))
    result = _run(cfg, target, stream, image, memory or "ideal", trace, window, events)
    report = json.dumps(result.as_dict(), indent=2) + "\n"
    files = {}
    if out is not None:
        files[out] = image.data.tobytes()
    if stats is not None:
        files[stats] = report.encode()
    else:
        click.echo(report, nl=False)
    write_all(files)


def _window(count: int, trace: Path | None, first: int | None, last: int | None) -> range | None:
    """The instructions whose waves are written; None: all cycles."""
    if trace is not None and trace.suffix == ".gtkw":
        raise click.UsageError(f"--trace names the waves; {trace} is the name of their layout")
    if first is None and last is None:
        return None
    if trace is None:
        option = "--from-instruction" if first is not None else "--to-instruction"
        raise click.UsageError(f"{option} cuts the waves of --trace, which is missing")
    first, last = first or 0, count - 1 if last is None else last
    if not first <= last < count:
        raise click.UsageError(
            f"waves of instructions {first} to {last}: must be a range of the {count} instructions "
            f"of the stream, 0 to {count - 1}"
        )
    return range(first, last + 1)


def _run(
    cfg: VTAConfig,
    target: str,
    stream: bytes,
    image: Memory,
    memory: str,
    trace: Path | None,
    window: range | None,
    events: Path | None,
) -> RunResult:
    if target == "sim":
        from vta.sim.reference.model import ReferenceModel

        return ReferenceModel(cfg).run(stream, image)
    from vta.sim.rtl.machine import VerilatedMachine
    from vta.sim.rtl.wave_layout import wave_layout

    simulated = VerilatedMachine(
        cfg, memory_preset=memory, trace=trace, active=events is not None, trace_window=window
    )
    if trace is not None:
        layout = wave_layout(trace, cfg, active=events is not None or window is not None)
        write_all({trace.with_suffix(".gtkw"): layout.encode()})
    try:
        result: RunResult = simulated.run(stream, image)
    except ExecutionError as error:
        _write_events(events, simulated, stream, memory, error)
        raise
    _write_events(events, simulated, stream, memory, None)
    return result


def _write_events(
    file: Path | None,
    machine: VerilatedMachine,
    stream: bytes,
    memory: str,
    failure: ExecutionError | None,
) -> None:
    if file is not None:
        from vta.profiling.run import recorded_profile

        recorded_profile("stream", machine, stream, memory, failure).to_perfetto(file)
