"""`vta quantize`: a float ONNX model to int8, and what that loses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.table import Table

from vta.cli.console import report_console
from vta.cli.options import EXISTING_FILE, FILE, require_other, shape_option
from vta.errors import VTAError

if TYPE_CHECKING:
    from vta.preprocessing import Preprocessing
    from vta.quantization import QuantisationReport

__all__ = [
    "calibrate_option", "classes_option", "preprocess_option", "preprocessing_of", "quantize",
    "read_classes",
]  # fmt: skip

_WORST = 5

calibrate_option = click.option(
    "--calibrate", "calibration", metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Photos, .npy files, or .npz files with an array for each input: they show the ranges of "
    "a float model's tensors.",
)  # fmt: skip
preprocess_option = click.option(
    "--preprocess", metavar="NAME|FILE.toml",
    help="How an input is made of a photo: imagenet, caffe, or a file (docs/networks/networks.md). "
    "Default: what the model's metadata say.",
)  # fmt: skip
classes_option = click.option(
    "--classes", type=FILE, metavar="FILE.txt",
    help="Names of the elements of an output vector, one a line. Default: what the model's "
    "metadata say.",
)  # fmt: skip


def read_classes(path: Path) -> tuple[str, ...]:
    """The lines of a text file.

    Raises
    ------
    VTAError
        If it cannot be read, is no text, or is empty.
    """
    try:
        names = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VTAError(f"--classes: cannot read {path}: {error}") from None
    if not any(names):
        raise VTAError(f"--classes: {path} is empty; must have a name a line")
    return tuple(name.strip() for name in names)


def preprocessing_of(model: Path, given: str | None) -> Preprocessing | None:
    """The preprocessing that an option names, or else that of the model's metadata.

    Raises
    ------
    PreprocessingError
        If it is wrong.
    """
    from vta.preprocessing import METADATA, Preprocessing
    from vta.quantization import metadata

    if given is not None:
        return Preprocessing.named(given)
    text = metadata(model).get(METADATA)
    return None if text is None else Preprocessing.from_text(text, f"metadata of {model}")


@click.command()
@click.argument("model", type=EXISTING_FILE)
@calibrate_option
@click.option("-o", "--output", "result", type=FILE, required=True, help="The int8 model.")
@preprocess_option
@classes_option
@shape_option
@click.option(
    "--symmetric", is_flag=True,
    help="Activations as int8 with zero point 0; else uint8 with any, which loses less.",
)  # fmt: skip
@click.option("--per-tensor", is_flag=True, help="One scale for all output channels of weights.")
@click.option(
    "--whole-sums",
    is_flag=True,
    help="Products that only norms, softmax and the like read keep 32 bits; the machine must have "
    "STORE_ACC.",
)
@click.option(
    "--smooth", is_flag=True,
    help="Move outliers of activations into the weights of products, for transformers.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def quantize(
    model: Path,
    calibration: Path | None,
    result: Path,
    preprocess: str | None,
    classes: Path | None,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    symmetric: bool,
    per_tensor: bool,
    whole_sums: bool,
    smooth: bool,
    as_json: bool,
) -> None:
    """Quantise MODEL, a float ONNX model, to int8 by onnxruntime, and report what was lost.

    Ranges of activations are those on the samples in the folder of --calibrate. The report has, on
    the same samples, the ratio of signal to quantisation noise of each layer and of the outputs,
    and how often the largest output is the same.
    """
    from vta.calibration import calibration_inputs
    from vta.quantization import quantise

    if calibration is None:
        raise click.UsageError("--calibrate FOLDER is needed: photos, .npy or .npz files")
    require_other("--output", result, model, classes)
    preprocessing = preprocessing_of(model, preprocess)
    samples = calibration_inputs(calibration, model, preprocessing, dict(shapes))
    names = read_classes(classes) if classes else None
    console = report_console(stderr=True)
    try:
        with console.status("reading") as status:
            report = quantise(
                model, result, samples, symmetric=symmetric, per_channel=not per_tensor,
                whole_sums=whole_sums, smooth=smooth,
                preprocessing=preprocessing, classes=names, shapes=dict(shapes),
                progress=status.update,
            )  # fmt: skip
    except OSError as error:
        raise VTAError(f"cannot write {result}: {error.strerror or error}") from None
    if as_json:
        click.echo(json.dumps(_as_dict(report, result), indent=2))
    else:
        _print(report, result)


def _as_dict(report: QuantisationReport, result: Path) -> dict[str, Any]:
    def shown(decibels: float) -> float | None:
        return decibels if math.isfinite(decibels) else None

    return {
        "file": str(result),
        "samples": report.samples,
        "outputs": {name: shown(value) for name, value in report.outputs.items()},
        "agreement": report.agreement,
        "layers": [
            {
                "tensor": layer.tensor, "node": layer.node, "operator": layer.operator,
                "sqnr_db": shown(layer.decibels),
            }
            for layer in report.layers
        ],
    }  # fmt: skip


def _print(report: QuantisationReport, result: Path) -> None:
    console = report_console()
    table = Table(box=box.SIMPLE, pad_edge=False, title_justify="left")
    for title in ("node", "operator", "tensor", "SQNR [dB]"):
        table.add_column(title, justify="right" if "dB" in title else "left", overflow="fold")
    worst = sorted(report.layers, key=lambda layer: layer.decibels)[:_WORST]
    for layer in report.layers:
        mark = " worst" if layer is worst[0] else " *" if layer in worst else ""
        table.add_row(layer.node, layer.operator, layer.tensor, f"{layer.decibels:.1f}{mark}")
    console.print(table)
    for name, decibels in report.outputs.items():
        same = report.agreement.get(name)
        agreed = "" if same is None else f", largest value the same on {same} of {report.samples}"
        click.echo(f"output {name}: {decibels:.1f} dB{agreed}")
    click.echo(f"{report.samples} samples -> {result}")
