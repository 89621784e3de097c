"""`vta run` of a network: arrays and photos in files, the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import numpy.typing as npt
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from vta.cli.arrays import (
    files_by_name,
    is_sample,
    npy_bytes,
    read_array,
    read_sample,
    require_format,
)
from vta.errors import VTAError
from vta.pictures import png_bytes
from vta.preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vta.cli.arrays import NamedFiles
    from vta.cli.devices import Place
    from vta.config import VTAConfig
    from vta.network import Network
    from vta.runtime.network import LayerRun, NetworkRun

__all__ = ["NetworkReport", "read_inputs", "run_network"]

_PICTURE = ".png"
_ARRAYS = (".npy", ".npz")


@dataclass(frozen=True)
class Layer:
    """A row of the table of layers; None where a device or a step does not have the figure."""

    name: str
    operator: str
    where: str
    cycles: int | None
    products: int
    share: float | None
    bytes: int
    bound: str | None
    tuned: bool

    @classmethod
    def of(cls, run: LayerRun, cfg: VTAConfig) -> Layer:
        step, cycles, bound = run.step, run.cycles, None
        if run.result is not None:
            beats = -(-run.bytes_moved // cfg.bus_bytes)
            counts = run.result.counters
            loads = {"products": counts.gemm_counter, "ALU": counts.alu_counter, "bus": beats}
            bound = max(loads, key=lambda name: loads[name])
        share = step.products / cycles if cycles and step.products else None
        return cls(
            step.name, step.operator, step.where, cycles, step.products, share, run.bytes_moved,
            bound, step.tuned,
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass(frozen=True)
class NetworkReport:
    """What a run of a network gave."""

    network: Network
    device: str
    ran: NetworkRun
    layers: tuple[Layer, ...]
    files: dict[str, Path]
    top: int
    preprocessing: Preprocessing | None

    def contents(self) -> dict[Path, bytes]:
        """What is written: an array, or a picture if the file is called ``.png``.

        Raises
        ------
        VTAError
            If an output is no picture of the model's preprocessing.
        """
        return {path: self._content(name, path) for name, path in self.files.items()}

    def _content(self, name: str, path: Path) -> bytes:
        values = self.ran.outputs[name]
        if path.suffix.lower() != _PICTURE:
            return npy_bytes(values)
        if self.preprocessing is None:
            raise VTAError(
                f"output {name}: {path} is a picture, and the model does not say how its images "
                f"are made of pixels: give --preprocess, or a .npy file"
            )
        return png_bytes(self.preprocessing.picture(values))

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` writes; numbers that are not finite are null."""
        return {
            "name": self.network.name,
            "kind": "network",
            "device": self.device,
            "outputs": {name: _listed(values) for name, values in self.ran.outputs.items()},
            "cycles": self.ran.cycles,
            "layers": [layer.as_dict() for layer in self.layers],
            "counters": self.ran.counters.as_dict(),
        }

    def print(self, console: Console) -> None:
        """The outputs, the table of layers, and totals."""
        console.print(f"{self.network.name} on {self.device}", highlight=False)
        for name, values in self.ran.outputs.items():
            shape = "x".join(map(str, values.shape)) or "scalar"
            file = f" -> {self.files[name]}" if name in self.files else ""
            only = f": {values.item():.6g}" if values.size == 1 else ""
            console.print(
                f"{name} {values.dtype} {shape}{only}{file}", highlight=False, markup=False
            )
            self._print_best(console, values)
        console.print(self._table())
        host = [layer.name for layer in self.layers if layer.where == "host"]
        if host:
            console.print(f"on the host: {', '.join(host)}", highlight=False, markup=False)

    def _print_best(self, console: Console, values: npt.NDArray[Any]) -> None:
        """The highest values of a single vector, with their indices: those of classes."""
        vector = values.reshape(-1)
        if self.top < 1 or vector.size < 2 or vector.size != values.shape[-1]:
            return
        for index in np.argsort(-vector.astype(np.float64), kind="stable")[: self.top]:
            named = self.network.classes[index] if index < len(self.network.classes) else ""
            console.print(
                f"    {index:>6}  {vector[index]:<10.6g} {named}".rstrip(),
                highlight=False, markup=False,
            )  # fmt: skip

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE, show_footer=True, pad_edge=False)
        cycles = "" if self.ran.cycles is None else f"{self.ran.cycles:,}"
        products = sum(layer.products for layer in self.layers)
        share = "" if not self.ran.cycles else f"{products / self.ran.cycles:.1%}"
        moved = sum(layer.bytes for layer in self.layers)
        for title, footer, right in (
            ("layer", "total", False), ("operator", "", False), ("where", "", False),
            ("cycles", cycles, True), ("products", f"{products:,}", True), ("share", share, True),
            ("bytes", f"{moved:,}", True), ("bound", "", False),
        ):  # fmt: skip
            table.add_column(
                title, footer, justify="right" if right else "left", overflow="fold",
                no_wrap=right,
            )  # fmt: skip
        tuned = any(layer.tuned for layer in self.layers)
        if tuned:
            table.add_column("schedule")
        for layer in self.layers:
            on_host = layer.where == "host"
            table.add_row(
                layer.name, layer.operator, layer.where,
                "" if layer.cycles is None else f"{layer.cycles:,}",
                "" if not layer.products else f"{layer.products:,}",
                "" if layer.share is None else f"{layer.share:.1%}",
                "" if on_host else f"{layer.bytes:,}", layer.bound or "",
                *(["tuned" if layer.tuned else ""] if tuned else []),
            )  # fmt: skip
        return table


def _listed(values: npt.NDArray[Any]) -> Any:
    """An array as nested lists; numbers that are not finite are None, because JSON has none."""
    found = values.astype(object)
    if values.dtype.kind == "f":
        found[~np.isfinite(values)] = None
    return found.tolist()


def run_network(
    network: Network,
    inputs: NamedFiles,
    outputs: NamedFiles,
    place: Place,
    progress: Progress,
    *,
    top: int,
) -> NetworkReport:
    """Run a network once on arrays and photos in files.

    Raises
    ------
    click.UsageError
        If an input is not given.
    VTAError
        If a file does not fit, or the run fails.
    """
    from vta.runtime.network import NetworkModule

    targets = files_by_name("--output", outputs, network.outputs)
    for path in targets.values():
        require_format("--output", path, ".npy", ".png")
    preprocessing = None
    if network.preprocessing:
        preprocessing = Preprocessing.from_text(network.preprocessing, network.name)
    tensors = {name: network.tensors[name] for name in network.inputs}
    values = read_inputs(
        network.name, {name: (t.dtype, t.shape) for name, t in tensors.items()}, inputs,
        preprocessing,
    )  # fmt: skip
    targets = {**_pictures(network, inputs, preprocessing), **targets}
    session = place.open(network.cfg)
    try:
        device = session.ext_dev(0)
        module = NetworkModule(network, device)
        task = progress.add_task("running", total=len(network.steps))
        ran = module.run(
            values,
            progress=lambda step, done: progress.update(
                task, completed=done, description=f"running {step.name}"
            ),
        )
        progress.update(task, completed=len(network.steps), description="ran")
        layers = tuple(Layer.of(layer, network.cfg) for layer in ran.layers)
        return NetworkReport(network, repr(device), ran, layers, targets, top, preprocessing)
    finally:
        session.close()


def _pictures(
    network: Network, inputs: NamedFiles, preprocessing: Preprocessing | None
) -> dict[str, Path]:
    """From photo to picture: of each output that is an image like the only input, or a multiple of
    its size, a file beside the photo."""
    if preprocessing is None or len(network.inputs) != 1:
        return {}
    ((_, photo),) = inputs
    shape = network.tensors[network.inputs[0]].shape
    found = {}
    for name in network.outputs:
        image = network.tensors[name].shape
        fits = len(image) == 4 and image[:2] == (1, preprocessing.count) == shape[:2]
        if (
            photo.suffix.lower() not in _ARRAYS
            and fits
            and not any(extent % own for extent, own in zip(image[2:], shape[2:]))
        ):
            safe = "".join(letter if letter.isalnum() else "_" for letter in name)
            found[name] = photo.with_name(f"{photo.stem}.{safe}{_PICTURE}")
    return found


def read_inputs(
    network: str,
    tensors: Mapping[str, tuple[str, tuple[int, ...]]],
    given: NamedFiles,
    preprocessing: Preprocessing | None,
) -> dict[str, npt.NDArray[Any]]:
    """The values of the inputs of a network: of .npy files as they are, of photos by the
    preprocessing, or of one .npz file with an array for each.

    Parameters
    ----------
    network : str
        Its name, for messages.
    tensors : mapping of str to (str, tuple of int)
        The dtypes and shapes of the inputs.
    given : NamedFiles
        Values of ``--input``.
    preprocessing : Preprocessing or None

    Raises
    ------
    click.UsageError
        If an input has no file, or a photo no preprocessing; if a name is unknown.
    VTAError
        If a file does not fit.
    """
    if is_sample(given):
        return read_sample(given[0][1], tensors)
    files = files_by_name("--input", given, list(tensors))
    missing = [name for name in tensors if name not in files]
    if missing:
        needs = ", ".join(
            f"{name} ({tensors[name][0]} of shape {tensors[name][1]})" for name in missing
        )
        raise click.UsageError(
            f"{network} reads {needs}: give it as --input {missing[0]}=FILE, a photo or an array "
            f"in a .npy file"
        )
    return {
        name: _read_input(name, *own, files[name], preprocessing) for name, own in tensors.items()
    }


def _read_input(
    name: str, dtype: str, shape: tuple[int, ...], path: Path, preprocessing: Preprocessing | None
) -> npt.NDArray[Any]:
    need = f"{dtype} of shape {shape}"
    if path.suffix.lower() in _ARRAYS:
        values: npt.NDArray[Any] = read_array(f"input {name}", path, dtype, shape)
        return values
    if preprocessing is None:
        raise click.UsageError(
            f"input {name}: {path} is no .npy file, and the model does not say how its input "
            f"({need}) is made of a photo: give --preprocess"
        )
    if dtype != "float32":
        raise VTAError(f"input {name}: photos are for float32 inputs; this one is {need}")
    return preprocessing.load(path, shape)
