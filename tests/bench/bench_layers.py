"""Cycles of network layers from the operator library with its default tilings, on ``tsim``.

    python -m tests.bench.bench_layers [--memory ideal|ddr] [--network NAME ...] [--base]
        [--json FILE]

Every result is compared with NumPy in the same run. The tables of docs/benchmarks.md are written
anew between their markers, one table for each network and memory that was measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.bench.networks import NETWORKS, Layer
from vta.build_module import build
from vta.check import check_program
from vta.compiler.ops import Operator, choose_scales
from vta.config import VTAConfig
from vta.memory_timing import MemoryTiming
from vta.rpc import LocalSession
from vta.runtime import array, empty

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Row:
    """What was measured of one layer; all numbers are clock cycles of one execution.

    Attributes
    ----------
    network, layer, work : str
    repeats : int
        How often the network has the layer.
    cycles : int
        From launch to done.
    products : int
        Tile products, one a cycle.
    bus : int
        Beats that the layer needs at least, each tensor once without pixels that no window reads,
        at the rate of the memory.
    alu : int
        Vectors of the ALU's passes.
    estimate : int
        Cycles by the tiler's model of an ``ideal`` memory.
    """

    network: str
    layer: str
    work: str
    repeats: int
    cycles: int
    products: int
    bus: int
    alu: int
    estimate: int

    @property
    def bound(self) -> int:
        """No schedule can be faster."""
        return max(self.products, self.bus, self.alu)

    @property
    def binds(self) -> str:
        """The resource of the bound."""
        return max(("products", "bus", "alu"), key=lambda name: int(getattr(self, name)))


def _inputs(op: Operator) -> list[np.ndarray]:
    """Random values over the whole range of each operand; sums of 32 bits stay small."""
    rng = np.random.default_rng(1)
    bits = {op.cfg.inp_dtype: op.cfg.inp_width, op.cfg.wgt_dtype: op.cfg.wgt_width}
    values = []
    for operand in op.operands:
        if operand.name == "scale":  # of a requantisation in one pass, about 2 ** -8
            words = choose_scales(rng.uniform(0.002, 0.006, operand.shape))
            values.append(np.array(words, np.int64).astype(np.uint32).view(np.int32))
            continue
        limit = 1 << (bits[operand.dtype] - 1 if operand.dtype in bits else 14)
        values.append(rng.integers(-limit, limit, operand.shape).astype(operand.dtype))
    return values


def _beats(op: Operator, memory: str, read: float) -> int:
    """Cycles of the bus if every tensor is moved once, of the data the share ``read``."""
    timing = MemoryTiming.of(memory)
    *inputs, result = (
        int(np.prod(tensor.shape, dtype=np.int64)) * np.dtype(tensor.dtype).itemsize
        for tensor in op.args
    )
    inputs[0] = round(inputs[0] * read)
    moved = sum(inputs) + result if timing.shared_bus else max(sum(inputs), result)
    return round(moved / op.cfg.bus_bytes / timing.beat_rate)


class Bench:
    """One simulated machine; layers of the same work are run once."""

    def __init__(self, cfg: VTAConfig, memory: str) -> None:
        self.cfg, self.memory = cfg, memory
        self._device = LocalSession(cfg.replace(target="tsim"), memory_preset=memory).ext_dev(0)
        self._known: dict[str, Row] = {}

    def measure(self, network: str, layer: Layer) -> Row:
        """Build, check and run a layer, and compare its result with NumPy."""
        if layer.work in self._known:
            known = asdict(self._known[layer.work])
            names = {"network": network, "layer": layer.name, "repeats": layer.repeats}
            return Row(**(known | names))
        op = layer.build(self.cfg)
        module = build(op.schedule, op.args, name=op.name)
        findings = check_program(module.program).findings
        assert not findings, (layer, findings)
        values = _inputs(op)
        buffers = [array(tiles, self._device) for tiles in op.pack(*values)]
        out = empty(op.args[-1].shape, op.args[-1].dtype, self._device)
        run = module(*buffers, out)
        np.testing.assert_array_equal(
            op.unpack(out.numpy()), op.reference(*values), err_msg=f"{network} {layer.name}"
        )
        cost = op.tiling.cost
        row = Row(
            network, layer.name, layer.work, layer.repeats, int(run.cycle_count or 0), op.products,
            _beats(op, self.memory, layer.read), op.vectors, int(cost.cycles) if cost else 0,
        )  # fmt: skip
        self._known[layer.work] = row
        return row


def table(rows: list[Row], memory: str) -> str:
    """The rows of a network in Markdown, with a total."""
    lines = [
        f"| layer, `{memory}` | shape | times | cycles | products | share | bound | binds "
        f"| bound/cycles |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row.layer} | {row.work} | {row.repeats} | {row.cycles:,} | {row.products:,} "
            f"| {row.products / row.cycles:.1%} | {row.bound:,} | {row.binds} "
            f"| {row.bound / row.cycles:.1%} |"
        )
    totals = {
        name: sum(row.repeats * getattr(row, name) for row in rows)
        for name in ("cycles", "products", "bound")
    }
    cycles = totals["cycles"]
    lines.append(
        f"| total | | {sum(row.repeats for row in rows)} | {cycles:,} | {totals['products']:,} "
        f"| {totals['products'] / cycles:.1%} | {totals['bound']:,} | "
        f"| {totals['bound'] / cycles:.1%} |"
    )
    return "\n".join(lines)


def write(page: Path, key: str, text: str) -> None:
    """Put a table between its markers in the page."""
    begin, end = f"<!-- layers: {key} -->", f"<!-- end: {key} -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{page}: no markers {begin} ... {end}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", action="append", choices=["ideal", "ddr"])
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    parser.add_argument("--base", action="store_true", help="a machine without the extension")
    parser.add_argument("--json", type=Path, help="write every row to this file")
    options = parser.parse_args(arguments)
    found = []
    for memory in options.memory or ["ideal", "ddr"]:
        machine = VTAConfig.preset("default").replace(extension=int(not options.base))
        bench = Bench(machine, memory)
        for network in options.network or NETWORKS:
            rows = []
            for layer in NETWORKS[network]:
                rows.append(bench.measure(network, layer))
                print(memory, network, layer.name, rows[-1].cycles, file=sys.stderr, flush=True)
            text = table(rows, memory)
            print(f"\n{network}, {memory}\n{text}", flush=True)
            key = f"{network}, {memory}" + ", base" * options.base
            write(PAGE, key, text)
            found += [
                {"memory": memory, "extension": machine.extension} | asdict(row) for row in rows
            ]
            if options.json:
                options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
