"""Whole networks on one photo, line of text or sentence each, from input to answer: cycles, times
and memory.

    python -m tests.bench.bench_networks [--network NAME ...] [--json FILE]

A network is measured in a process of its own, from an int8 model on; the results of the simulated
RTL are compared with those of the reference model. Times are those of the CPU, of all threads. The
tables of docs/benchmarks.md are written anew between their markers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from tests.bench.bench_layers import PAGE, write
from vta.config import VTAConfig
from vta.networks import compile_model
from vta.rpc import LocalSession
from vta.runtime.network import NetworkModule

#: By network: its name, and the goals for cycles in `ideal` and `ddr`.
NETWORKS = {
    "resnet18": ("ResNet-18, 224x224", 7_400_000, 7_600_000),
    "squeezenet": ("SqueezeNet 1.1, 227x227", 1_950_000, None),
    "mobilenet": ("MobileNetV2, 224x224", 3_300_000, None),
    "digits": ("digits, 28x28", None, None),
    "recogniser": ("PP-OCRv6 recogniser, 48x240", None, None),
    "minilm": ("all-MiniLM-L6-v2, 32 words", None, None),
}
MEMORIES = {"ideal": 1.0, "ddr": 0.8}
"""By preset: the share of the bus's beats that it gives at most."""


def measure(model: Path, inputs: Path) -> dict:
    """Compile a model, and run it on ``sim`` and on ``tsim`` with each memory."""
    cfg = VTAConfig.preset("default")
    with np.load(inputs) as archive:
        data = dict(archive)
    began = time.process_time()
    single = compile_model(model, cfg=cfg)
    found = {"compile": time.process_time() - began, "layers": {}}
    joined = compile_model(model, cfg=cfg, join_programs=True)
    results = {}
    for name, target, memory, network in (
        ("sim", "sim", None, single), ("ideal", "tsim", "ideal", single),
        ("ddr", "tsim", "ddr", single), ("joined", "tsim", "ideal", joined),
    ):  # fmt: skip
        options = {} if memory is None else {"memory_preset": memory}
        session = LocalSession(cfg.replace(target=target), **options)
        module = NetworkModule(network, session.ext_dev(0))
        began = time.process_time()
        ran = module.run(data)
        found[f"{name} seconds"] = time.process_time() - began
        results[name] = ran.outputs
        for output, values in results["sim"].items():
            np.testing.assert_array_equal(ran.outputs[output], values, err_msg=name)
        if name in MEMORIES:
            found["layers"][name] = [
                _layer(layer, cfg, MEMORIES[name]) for layer in ran.layers if layer.cycles
            ]
        found[f"{name} cycles"] = ran.cycles
    found["memory"] = _largest_memory()
    return found


def _largest_memory() -> int:
    """Bytes of this process at most; its parent's are not counted, as by ``getrusage``."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _layer(layer, cfg: VTAConfig, given: float) -> dict:
    counters = layer.result.counters
    loads = {
        "products": counters.gemm_counter,
        "ALU": counters.alu_counter,
        "bus": int(layer.bytes_moved / cfg.bus_bytes / given),
    }
    binds = max(loads, key=lambda name: loads[name])
    return {
        "name": layer.step.name, "cycles": layer.cycles, "products": layer.step.products,
        "bound": loads[binds], "binds": binds,
    }  # fmt: skip


def prepare(name: str, folder: Path) -> tuple[Path, Path]:
    """An int8 model and its inputs of one sample, in files."""
    from tests.networks import digits, minilm, printed_text
    from tests.networks.__main__ import MODELS, write_model, write_photos
    from vta.calibration import calibration_inputs
    from vta.quantization import quantise

    preprocessing, model, options = MODELS[name][1], write_model(name, folder), {}
    if name == "digits":
        samples = list(digits.prepared(digits.digits()[0])[2::100][:, None])
    elif name == "recogniser":
        shape = (1, 3, 48, 240)
        pictures = [printed_text.line(text, shape, n) for n, text in enumerate(printed_text.LINES)]
        samples = [preprocessing.apply(pixels, shape) for pixels in pictures]
        options = {"shapes": {"x": shape}}
    elif name == "minilm":
        samples = [minilm.encoded(sentence) for sentence in minilm.CALIBRATION]
        options = {"shapes": minilm.SHAPES, "smooth": True, "whole_sums": True}
    else:
        write_photos(folder / "photos")
        samples = calibration_inputs(folder / "photos", model, preprocessing)
    quantise(model, folder / "int8.onnx", samples, preprocessing=preprocessing, **options)
    data = samples[1]
    if not isinstance(data, Mapping):
        (value,) = onnx.load(model).graph.input
        data = {value.name: data}
    np.savez(folder / "sample.npz", **data)
    return folder / "int8.onnx", folder / "sample.npz"


def whole_table(found: dict[str, dict]) -> str:
    """A row for each network."""
    lines = [
        "| network | `ideal` | goal | `ddr` | goal | `ideal`, joined | products | share, `ideal` "
        "| `tsim` | `sim` | compile | memory |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        title, *goals = NETWORKS[name]
        cycles = {memory: row[f"{memory} cycles"] for memory in MEMORIES}
        products = sum(layer["products"] for layer in row["layers"]["ideal"])
        ideal, ddr = (
            f"{cycles[memory]:,} | {'' if goal is None else f'{goal:,}'}"
            for memory, goal in zip(MEMORIES, goals)
        )
        lines.append(
            f"| {title} | {ideal} | {ddr} | {row['joined cycles']:,} | {products:,} "
            f"| {products / cycles['ideal']:.1%} "
            f"| {row['ideal seconds']:.1f} s | {row['sim seconds']:.1f} s "
            f"| {row['compile']:.1f} s | {row['memory'] / 2**20:,.0f} MiB |".replace("|  |", "| |")
        )
    return "\n".join(lines)


def bounds_table(found: dict[str, dict]) -> str:
    """Of each network, the layers by what binds them, under `ideal`."""
    lines = [
        "| network, `ideal` | what binds | layers | bound | cycles | bound/cycles |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in found.items():
        for binds in ("products", "ALU", "bus"):
            layers = [layer for layer in row["layers"]["ideal"] if layer["binds"] == binds]
            bound, cycles = (sum(layer[key] for layer in layers) for key in ("bound", "cycles"))
            if layers:
                lines.append(
                    f"| {NETWORKS[name][0]} | {binds} | {len(layers)} | {bound:,} | {cycles:,} "
                    f"| {bound / cycles:.1%} |"
                )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:  # the process of one network
        print(json.dumps(measure(*options.measure)))
        return
    found = {}
    for name in options.network or NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            files = prepare(name, Path(folder))
            done = subprocess.run(
                [sys.executable, "-m", "tests.bench.bench_networks", "--measure", *map(str, files)],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(whole_table({name: found[name]}), flush=True)
        print(bounds_table({name: found[name]}), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if set(found) == set(NETWORKS):
        write(PAGE, "networks, whole", whole_table(found))
        write(PAGE, "networks, bounds", bounds_table(found))


if __name__ == "__main__":
    main(sys.argv[1:])
