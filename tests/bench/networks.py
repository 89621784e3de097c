"""The layers that :mod:`tests.bench.bench_layers` measures: shapes of published networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vta.compiler.ops import OnePass, Operator, Requantise, conv2d, conv2d_transpose, dense
from vta.config import VTAConfig

__all__ = ["NETWORKS", "Layer"]


def _rule(cfg: VTAConfig, low: int = 0) -> Requantise:
    """One pass with a scale a channel, or a shift on a machine without the extension."""
    return OnePass(low=low) if cfg.extension else Requantise(8, low=low)


@dataclass(frozen=True)
class Layer:
    """One shape of a network.

    Attributes
    ----------
    name : str
    repeats : int
        How often the network has it.
    work : str
        The shape for people; layers of the same work are measured once.
    build : callable
        ``build(cfg)``: the operator with its default tiling.
    read : float
        The share of the pixels of the data that any window reads.
    """

    name: str
    repeats: int
    work: str
    build: Callable[[VTAConfig], Operator]
    read: float = 1.0


def _conv(
    name: str, repeats: int, size: int, inputs: int, outputs: int, kernel: int,
    stride: int = 1, padding: int | None = None, groups: int = 1,
) -> Layer:  # fmt: skip
    pad = kernel // 2 if padding is None else padding

    def build(cfg: VTAConfig) -> Operator:
        return conv2d(
            (cfg.batch, inputs, size, size), outputs, kernel,
            cfg=cfg, requantise=_rule(cfg), stride=stride, padding=pad, groups=groups,
        )  # fmt: skip

    step = f"/{stride}" if stride > 1 else ""
    each = f", {groups} groups" if groups > 1 else ""
    work = f"{size}x{size}x{inputs}-{outputs}, {kernel}x{kernel}{step}{each}"
    read = (-(-size // stride) / size) ** 2 if kernel == 1 else 1.0
    return Layer(name, repeats, work, build, read)


def _resnet_basic(counts: tuple[int, ...]) -> list[Layer]:
    """ResNet-18 and -34: blocks of two 3x3 convolutions; C1 is the first layer."""
    first, second, third, fourth = counts
    return [
        _conv("C1", 1, 224, 3, 64, 7, 2),
        _conv("C2", 2 * first, 56, 64, 64, 3),
        _conv("C3", 1, 56, 64, 128, 3, 2),
        _conv("C4", 1, 56, 64, 128, 1, 2),
        _conv("C5", 2 * second - 1, 28, 128, 128, 3),
        _conv("C6", 1, 28, 128, 256, 3, 2),
        _conv("C7", 1, 28, 128, 256, 1, 2),
        _conv("C8", 2 * third - 1, 14, 256, 256, 3),
        _conv("C9", 1, 14, 256, 512, 3, 2),
        _conv("C10", 1, 14, 256, 512, 1, 2),
        _conv("C11", 2 * fourth - 1, 7, 512, 512, 3),
    ]


def _resnet_bottleneck(counts: tuple[int, ...]) -> Iterator[Layer]:
    """ResNet-50 and -101: blocks of 1x1, 3x3, 1x1; the stride is in the 3x3 convolution."""
    yield _conv("conv1", 1, 224, 3, 64, 7, 2)
    size, inputs = 56, 64
    for stage, blocks in enumerate(counts, 2):
        width = 32 << (stage - 1)
        stride = 1 if stage == 2 else 2
        out = size // stride
        yield _conv(f"conv{stage} first 1x1", 1, size, inputs, width, 1)
        yield _conv(f"conv{stage} first 3x3", 1, size, width, width, 3, stride)
        yield _conv(f"conv{stage} shortcut", 1, size, inputs, 4 * width, 1, stride)
        yield _conv(f"conv{stage} expand 1x1", blocks, out, width, 4 * width, 1)
        yield _conv(f"conv{stage} reduce 1x1", blocks - 1, out, 4 * width, width, 1)
        yield _conv(f"conv{stage} 3x3", blocks - 1, out, width, width, 3)
        size, inputs = out, 4 * width


def _squeezenet() -> Iterator[Layer]:
    """SqueezeNet 1.1 at 227x227 pixels."""
    yield _conv("conv1", 1, 227, 3, 64, 3, 2, 0)
    fires = [
        (56, 64, 16, 64), (56, 128, 16, 64), (27, 128, 32, 128), (27, 256, 32, 128),
        (13, 256, 48, 192), (13, 384, 48, 192), (13, 384, 64, 256), (13, 512, 64, 256),
    ]  # fmt: skip
    for number, (size, inputs, squeeze, expand) in enumerate(fires, 2):
        yield _conv(f"fire{number} squeeze", 1, size, inputs, squeeze, 1)
        yield _conv(f"fire{number} 1x1", 1, size, squeeze, expand, 1)
        yield _conv(f"fire{number} 3x3", 1, size, squeeze, expand, 3)
    yield _conv("conv10", 1, 13, 512, 1000, 1)


def _mobilenet_v2() -> Iterator[Layer]:
    """MobileNetV2 at 224x224 pixels: blocks of 1x1, depthwise 3x3, 1x1."""
    yield _conv("conv1", 1, 224, 3, 32, 3, 2)
    size, inputs = 112, 32
    stages = [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
        (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]  # fmt: skip
    for number, (factor, outputs, blocks, stride) in enumerate(stages, 1):
        for part, times, step in (("first", 1, stride), ("other", blocks - 1, 1)):
            if not times:
                continue
            wide, out = factor * inputs, size // step
            name = f"stage {number} {part}"
            if factor > 1:
                yield _conv(f"{name} expand", times, size, inputs, wide, 1)
            yield _conv(f"{name} depthwise", times, size, wide, wide, 3, step, groups=wide)
            yield _conv(f"{name} project", times, out, wide, outputs, 1)
            size, inputs = out, outputs
    yield _conv("last", 1, 7, 320, 1280, 1)


def _grouped() -> Iterator[Layer]:
    """Convolutions in groups of 16 channels: the shapes of MobileNet's depthwise layers."""
    shapes = [
        (112, 32, 1), (112, 64, 2), (56, 128, 1), (56, 128, 2), (28, 256, 1), (28, 256, 2),
        (14, 512, 1), (14, 512, 2), (7, 1024, 1),
    ]  # fmt: skip
    for number, (size, channels, stride) in enumerate(shapes, 1):
        yield _conv(f"D{number}", 1, size, channels, channels, 3, stride, groups=channels // 16)


def _dcgan(images: int = 1) -> Iterator[Layer]:
    """The transposed convolutions of DCGAN, 4x4 with stride 2."""
    for number, (size, inputs) in enumerate([(4, 1024), (8, 512), (16, 256)], 1):

        def build(cfg: VTAConfig, size: int = size, inputs: int = inputs) -> Operator:
            return conv2d_transpose(
                (images * cfg.batch, inputs, size, size), inputs // 2, 4,
                cfg=cfg, requantise=_rule(cfg), stride=2, padding=1,
            )  # fmt: skip

        work = f"{size}x{size}x{inputs}-{inputs // 2}, 4x4/2 transposed"
        work += f", {images} images" * (images > 1)
        yield Layer(f"CT{number}", 1, work, build)


def _dense() -> Iterator[Layer]:
    """The last layer of MobileNetV2."""

    def build(cfg: VTAConfig) -> Operator:
        return dense((cfg.batch, 1280), 1000, cfg=cfg, requantise=_rule(cfg, -128))

    yield Layer("dense", 1, "1280-1000", build)


NETWORKS: dict[str, list[Layer]] = {
    "ResNet-18": _resnet_basic((2, 2, 2, 2)),
    "ResNet-34": _resnet_basic((3, 4, 6, 3)),
    "ResNet-50": list(_resnet_bottleneck((3, 4, 6, 3))),
    "ResNet-101": list(_resnet_bottleneck((3, 4, 23, 3))),
    "SqueezeNet 1.1": list(_squeezenet()),
    "MobileNetV2": list(_mobilenet_v2()),
    "Convolutions in groups": list(_grouped()),
    "DCGAN": list(_dcgan()),
    "DCGAN, two images": list(_dcgan(2)),
    "Dense": list(_dense()),
    "Convolution of the tutorial": [_conv("tutorial", 1, 14, 256, 256, 3)],
}
