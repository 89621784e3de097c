"""Small float networks of the families that people have: blocks, skips, gates, attention.

Each is the shape of its family at a small size, with random weights; none is trained. The input is
``x``.
"""

import numpy as np

from tests.support.onnx_builder import Builder

FAMILIES = {}
"""Functions that make a model, by name."""


def family(make):
    FAMILIES[make.__name__] = make
    return make


@family
def vgg():
    b, x, before = Builder(), "x", 3
    for channels in (16, 32):
        x = b.block(b.block(x, before, channels), channels, channels)
        x, before = b.pool(x), channels
    x = b.relu(b.dense(b.op("Flatten", x), 32 * 16, 32))
    return b.model(b.dense(b.op("Dropout", x), 32, 10), [1, 3, 16, 16])


@family
def resnet_bottlenecks():
    b = Builder()
    x = b.pool(b.block("x", 3, 16, 7, 2), kernel=3, pad=1)
    for inputs, outputs, stride in ((16, 32, 1), (32, 32, 1), (32, 64, 2)):
        inner = outputs // 4
        y = b.block(b.block(x, inputs, inner, 1), inner, inner, 3, stride)
        y = b.norm(b.conv(y, inner, outputs, 1, bias=False), outputs)
        if inputs != outputs:
            x = b.norm(b.conv(x, inputs, outputs, 1, stride, bias=False), outputs)
        x = b.relu(b.op("Add", y, x))
    return b.model(b.classes(x, 64), [1, 3, 32, 32])


@family
def resnext_groups():
    b = Builder()
    x = b.block("x", 3, 48, stride=2)
    y = b.block(b.block(x, 48, 48, 1), 48, 48, group=6)
    y = b.norm(b.conv(y, 48, 48, 1, bias=False), 48)
    return b.model(b.classes(b.relu(b.op("Add", x, y)), 48), [1, 3, 16, 16])


@family
def densenet():
    """Batch norms stand in front of convolutions."""
    b = Builder()
    x, channels = b.conv("x", 3, 16), 16
    for _ in range(2):
        y = b.conv(b.relu(b.norm(x, channels)), channels, 32, 1, bias=False)
        y = b.conv(b.relu(b.norm(y, 32)), 32, 12, bias=False)
        x, channels = b.op("Concat", x, y, axis=1), channels + 12
    x = b.op("AveragePool", b.relu(b.norm(x, 40)), kernel_shape=[2, 2], strides=[2, 2])
    return b.model(b.classes(x, 40), [1, 3, 16, 16])


@family
def inception():
    b = Builder()
    x = b.block("x", 3, 32)
    average = b.op(
        "AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4, count_include_pad=1
    )
    parts = [
        b.block(x, 32, 16, 1),
        b.block(b.block(x, 32, 16, (1, 7)), 16, 16, (7, 1)),
        b.block(b.block(b.block(x, 32, 16, 1), 16, 24), 24, 24),
        b.block(average, 32, 16, 1),
    ]
    return b.model(b.classes(b.op("Concat", *parts, axis=1), 72), [1, 3, 12, 12])


@family
def mobilenet_v3():
    """Hard-swish, and a gate for each channel by hard-sigmoid."""
    b = Builder()
    x = b.op("HardSwish", b.conv("x", 3, 16, stride=2))
    y = b.op("HardSwish", b.conv(x, 16, 64, 1))
    y = b.op("HardSwish", b.conv(y, 64, 64, 5, group=64))
    gate = b.relu(b.conv(b.op("GlobalAveragePool", y), 64, 16, 1))
    gate = b.op("HardSigmoid", b.conv(gate, 16, 64, 1), alpha=1 / 6, beta=0.5)
    y = b.conv(b.op("Mul", y, gate), 64, 16, 1)
    return b.model(b.classes(b.op("Add", x, y), 16), [1, 3, 16, 16])


@family
def efficientnet():
    """SiLU, and a gate for each channel by sigmoid."""
    b = Builder()
    x = b.silu(b.norm(b.conv("x", 3, 32, stride=2, bias=False), 32))
    y = b.silu(b.norm(b.conv(x, 32, 32, group=32, bias=False), 32))
    gate = b.silu(b.conv(b.op("GlobalAveragePool", y), 32, 8, 1))
    y = b.op("Mul", b.op("Sigmoid", b.conv(gate, 8, 32, 1)), y)
    y = b.norm(b.conv(y, 32, 32, 1, bias=False), 32)
    return b.model(b.classes(b.op("Add", y, x), 32), [1, 3, 16, 16])


@family
def shufflenet():
    """Channels are split, joined and shuffled."""
    b = Builder()
    x = b.block("x", 3, 32, stride=2)
    left, right = b.op("Split", x, b.integers(16, 16), results=2, axis=1)
    right = b.norm(b.conv(b.block(right, 16, 16, 1), 16, 16, group=16, bias=False), 16)
    x = b.op("Concat", left, b.block(right, 16, 16, 1), axis=1)
    x = b.op("Reshape", x, b.integers(1, 2, 16, 8, 8))
    x = b.op("Reshape", b.op("Transpose", x, perm=[0, 2, 1, 3, 4]), b.integers(1, 32, 8, 8))
    return b.model(b.classes(b.block(x, 32, 32, 1), 32), [1, 3, 16, 16])


@family
def spatial_gates():
    b = Builder()
    x = b.block("x", 3, 16)
    x = b.op("Mul", x, b.op("Sigmoid", b.conv(x, 16, 1, 1)))
    largest = b.op("ReduceMax", x, axes=[1], keepdims=1)
    mean = b.op("ReduceMean", x, axes=[1], keepdims=1)
    gate = b.conv(b.op("Concat", largest, mean, axis=1), 2, 1, 7)
    return b.model(b.classes(b.op("Mul", x, b.op("Sigmoid", gate)), 16), [1, 3, 12, 12])


@family
def branches_that_are_summed():
    b = Builder()
    x = b.block("x", 3, 16)
    y, z = b.block(x, 16, 16), b.block(x, 16, 16)
    x = b.op("Concat", b.op("Sum", x, y, z), b.op("Max", y, z), axis=1)
    return b.model(b.classes(x, 32), [1, 3, 8, 8])


@family
def face_recognition():
    """PReLU, batch norms on their own, an embedding of length 1."""
    b = Builder()

    def prelu(x):
        return b.op("PRelu", x, b.constant(np.full((16, 1, 1), 0.25, np.float32)))

    x = prelu(b.norm(b.conv("x", 3, 16, bias=False), 16))
    y = prelu(b.norm(b.conv(b.norm(x, 16), 16, 16, bias=False), 16))
    x = b.op("Add", x, b.norm(b.conv(y, 16, 16, bias=False), 16))
    x = b.dense(b.op("Flatten", b.op("GlobalAveragePool", x)), 16, 32)
    return b.model(b.op("LpNormalization", x, axis=1, p=2), [1, 3, 12, 12])


@family
def darknet():
    b = Builder()
    x = b.op("LeakyRelu", b.norm(b.conv("x", 3, 16, bias=False), 16), alpha=0.1)
    x = b.op("LeakyRelu", b.norm(b.conv(b.pool(x), 16, 32, bias=False), 32), alpha=0.1)
    x = b.op("MaxPool", x, kernel_shape=[2, 2], strides=[1, 1], auto_pad="SAME_UPPER")
    return b.model(b.conv(x, 32, 25, 1), [1, 3, 16, 16])


@family
def yolo():
    """SiLU, pyramid of maxima, upsampling, two heads."""
    b = Builder()

    def unit(x, inputs, outputs, kernel=3, stride=1):
        return b.silu(b.conv(x, inputs, outputs, kernel, stride))

    fine = unit(unit("x", 3, 16, stride=2), 16, 32, stride=2)
    coarse = unit(unit(fine, 32, 64, stride=2), 64, 32, 1)
    first = b.pool(coarse, 5, 1, 2)
    coarse = unit(b.op("Concat", coarse, first, b.pool(first, 5, 1, 2), axis=1), 96, 64, 1)
    up = b.resized(
        coarse, 2, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    fine, heads = unit(b.op("Concat", up, fine, axis=1), 96, 32), []
    for x, channels, side in ((fine, 32, 8), (coarse, 64, 4)):
        x = b.op("Reshape", b.conv(x, channels, 21, 1), b.integers(1, 3, 7, side * side))
        heads.append(b.op("Sigmoid", b.op("Transpose", x, perm=[0, 1, 3, 2])))
    return b.model(heads, [1, 3, 32, 32])


@family
def boxes_from_distances():
    """The last part of a detector: softmax over bins, boxes around anchors, scores."""
    b = Builder()
    x = b.op("Reshape", b.conv(b.silu(b.conv("x", 3, 16, stride=2)), 16, 20, 1),
             b.integers(1, 20, 64))  # fmt: skip
    box, score = b.op("Split", x, b.integers(16, 4), results=2, axis=1)
    box = b.op("Transpose", b.op("Reshape", box, b.integers(1, 4, 4, 64)), perm=[0, 2, 1, 3])
    bins = b.constant(np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1))
    box = b.op("Reshape", b.op("Conv", b.op("Softmax", box, axis=1), bins), b.integers(1, 4, 64))
    near = b.op("Slice", box, b.integers(0), b.integers(2), b.integers(1))
    far = b.op("Slice", box, b.integers(2), b.integers(4), b.integers(1))
    anchors = b.constant(16 * b.rng.random((1, 2, 64)).astype(np.float32))
    low, high = b.op("Sub", anchors, near), b.op("Add", anchors, far)
    centre = b.op("Div", b.op("Add", low, high), b.real(2))
    box = b.op("Mul", b.op("Concat", centre, b.op("Sub", high, low), axis=1), b.real(8))
    return b.model(b.op("Concat", box, b.op("Sigmoid", score), axis=1), [1, 3, 16, 16])


@family
def unet():
    b = Builder()
    fine = b.block("x", 3, 16)
    middle = b.block(b.pool(fine), 16, 32)
    x = b.block(b.pool(middle), 32, 32)
    for inputs, outputs, skip, joined in ((32, 32, middle, 64), (16, 16, fine, 32)):
        weights = b.constant(b.normal(inputs, outputs, 2, 2, scale=0.5 * inputs**-0.5))
        x = b.op("ConvTranspose", x, weights, kernel_shape=[2, 2], strides=[2, 2])
        x = b.block(b.op("Concat", x, skip, axis=1), joined, 16)
    return b.model(b.op("Sigmoid", b.conv(x, 16, 1, 1)), [1, 3, 16, 16])


@family
def unet_bilinear():
    b = Builder()
    fine = b.block("x", 3, 16)
    x = b.resized(b.block(b.pool(fine), 16, 16), 2, mode="linear")
    return b.model(b.conv(b.op("Concat", fine, x, axis=1), 32, 4, 1), [1, 3, 8, 8])


@family
def segmentation():
    """Dilated convolutions, features of the whole image, the class of each pixel."""
    b = Builder()
    x = b.block("x", 3, 32, stride=2)
    parts = [b.block(x, 32, 16, 1)]
    for dilation in (2, 4):
        parts.append(
            b.relu(b.norm(b.conv(x, 32, 16, dilation=dilation, bias=False), 16))
        )  # fmt: skip
    whole = b.relu(b.conv(b.op("GlobalAveragePool", x), 32, 16, 1))
    parts.append(b.op("Expand", whole, b.integers(1, 16, 8, 8)))
    x = b.conv(b.op("Concat", *parts, axis=1), 64, 5, 1)
    return b.model(
        b.op("Resize", x, "", "", b.integers(1, 5, 16, 16), mode="linear"), [1, 3, 16, 16]
    )


@family
def classes_of_pixels():
    b = Builder()
    x = b.conv(b.block("x", 3, 16), 16, 5, 1)
    return b.model(b.op("ArgMax", x, axis=1, keepdims=0), [1, 3, 8, 8], integer=True)


@family
def super_resolution():
    b = Builder()
    x = b.op("Tanh", b.conv(b.op("Tanh", b.conv("x", 1, 32, 5)), 32, 16))
    return b.model(b.op("DepthToSpace", b.conv(x, 16, 4), blocksize=2, mode="CRD"), [1, 1, 12, 12])


@family
def style_transfer():
    """A reflected border, instance norm, nearest upsampling."""
    b = Builder()
    x = b.op("Pad", "x", b.integers(0, 0, 4, 4, 0, 0, 4, 4), mode="reflect")
    x = b.conv(x, 3, 16, 9, pad=0)
    norm = b.constant(1 + b.normal(16, scale=0.1)), b.constant(b.normal(16, scale=0.1))
    x = b.resized(b.relu(b.op("InstanceNormalization", x, *norm)), 2, mode="nearest")
    return b.model(b.conv(x, 16, 3), [1, 3, 12, 12])


@family
def generator():
    b = Builder()
    x = b.op("Reshape", b.relu(b.dense("x", 32, 32 * 16)), b.integers(1, 32, 4, 4))
    for inputs, outputs in ((32, 16), (16, 3)):
        weights = b.constant(b.normal(inputs, outputs, 4, 4, scale=(0.5 / inputs) ** 0.5))
        x = b.op(
            "ConvTranspose", x, weights, kernel_shape=[4, 4], strides=[2, 2], pads=[1, 1, 1, 1]
        )
        x = b.relu(b.norm(x, outputs)) if outputs > 3 else b.op("Tanh", x)
    return b.model(x, [1, 32])


def attention(b, x, words, width, heads):
    def split(rows):
        rows = b.op("Reshape", rows, b.integers(1, words, heads, width // heads))
        return b.op("Transpose", rows, perm=[0, 2, 1, 3])

    query, key, value = (split(b.rows(x, width, width)) for _ in range(3))
    scores = b.op("MatMul", query, b.op("Transpose", key, perm=[0, 1, 3, 2]))
    scores = b.op("Mul", scores, b.real((width // heads) ** -0.5))
    x = b.op("Transpose", b.op("MatMul", b.op("Softmax", scores, axis=-1), value),
             perm=[0, 2, 1, 3])  # fmt: skip
    return b.rows(b.op("Reshape", x, b.integers(1, words, width)), width, width)


@family
def vision_transformer():
    """A class token and places, GELU in its parts."""
    b = Builder()
    width, words = 32, 5
    x = b.op("Concat", b.constant(b.normal(1, 1, width)), b.patches("x", width, 8), axis=1)
    x = b.op("Add", x, b.constant(b.normal(1, words, width, scale=0.2)))
    x = b.op("Add", x, attention(b, b.layer_norm(x, width), words, width, 4))
    y = b.rows(b.layer_norm(x, width), width, 2 * width)
    half = b.op("Add", b.op("Erf", b.op("Div", y, b.real(2**0.5))), b.real(1))
    y = b.op("Mul", b.op("Mul", y, half), b.real(0.5))
    x = b.op("Add", x, b.rows(y, 2 * width, width))
    x = b.op("Gather", b.layer_norm(x, width), b.constant(np.int64(0)), axis=1)
    return b.model(b.dense(x, width, 10), [1, 3, 16, 16])


@family
def mixer():
    b = Builder()
    x = b.patches("x", 32, 8)
    y = b.op("Transpose", b.layer_norm(x, 32), perm=[0, 2, 1])
    y = b.rows(b.op("Gelu", b.rows(y, 4, 16)), 16, 4)
    x = b.op("Add", x, b.op("Transpose", y, perm=[0, 2, 1]))
    y = b.rows(b.op("Gelu", b.rows(b.layer_norm(x, 32), 32, 64)), 64, 32)
    x = b.layer_norm(b.op("Add", x, y), 32)
    x = b.op("ReduceMean", x, b.integers(1), keepdims=0)
    return b.model(b.dense(x, 32, 10), [1, 3, 16, 16], opset=20)


@family
def convnext():
    """Layer norm over channels, factors for each channel."""
    b = Builder()
    x = b.conv("x", 3, 32, 4, 4, pad=0)
    y = b.op("Transpose", b.conv(x, 32, 32, 7, group=32), perm=[0, 2, 3, 1])
    y = b.rows(b.op("Gelu", b.rows(b.layer_norm(y, 32), 32, 64)), 64, 32)
    y = b.op("Mul", y, b.constant(b.normal(32, scale=0.3)))
    x = b.op("Add", x, b.op("Transpose", y, perm=[0, 3, 1, 2]))
    return b.model(b.classes(x, 32), [1, 3, 16, 16], opset=20)


@family
def group_norm():
    """As exporters write it: an instance norm of groups, and a line of each channel."""
    b = Builder()
    x = b.op("Reshape", b.conv("x", 3, 32), b.integers(0, 8, -1))
    ones, zeros = (b.constant(np.full(8, value, np.float32)) for value in (1, 0))
    x = b.op("Reshape", b.op("InstanceNormalization", x, ones, zeros), b.integers(1, 32, 8, 8))
    x = b.op("Mul", x, b.constant(1 + b.normal(32, 1, 1, scale=0.1)))
    x = b.op("Add", x, b.constant(b.normal(32, 1, 1, scale=0.1)))
    return b.model(b.classes(b.relu(x), 32), [1, 3, 8, 8])


@family
def sound():
    """Convolutions and maxima of one dimension."""
    b = Builder()
    x = b.relu(b.conv("x", 1, 16, (9,), 4, axes=1))
    x = b.relu(b.norm(b.conv(x, 16, 32, (3,), bias=False, axes=1), 32))
    x = b.op("MaxPool", x, kernel_shape=[4], strides=[4])
    return b.model(b.classes(x, 32), [1, 1, 128])


@family
def causal_convolutions():
    """A frame on one side, and dilations."""
    b = Builder()
    x, inputs = "x", 8
    for dilation in (2, 4):
        x = b.op("Pad", x, b.integers(0, 0, 2 * dilation, 0, 0, 0))
        x = b.relu(b.conv(x, inputs, 16, (3,), pad=0, dilation=dilation, axes=1))
        inputs = 16
    return b.model(b.conv(x, 16, 4, (1,), axes=1), [1, 8, 20])


@family
def preprocessing_inside():
    b = Builder()
    mean, scale = (
        b.constant(np.float32(values).reshape(1, 3, 1, 1))
        for values in ((0.4, 0.5, 0.6), (0.2, 0.3, 0.2))
    )
    x = b.block(b.op("Div", b.op("Sub", "x", mean), scale), 3, 16)
    return b.model(b.op("Softmax", b.classes(x, 16)), [1, 3, 8, 8])


@family
def channels_last():
    """As converters from other frameworks write it."""
    b = Builder()
    limits = b.real(0), b.real(6)
    x = b.op("Pad", b.op("Transpose", "x", perm=[0, 3, 1, 2]), b.integers(0, 0, 0, 0, 0, 0, 1, 1))
    x = b.op("Clip", b.conv(x, 3, 16, stride=2, pad=0), *limits)
    x = b.op("Clip", b.conv(x, 16, 16, group=16), *limits)
    x = b.op("Transpose", b.conv(x, 16, 8, 1), perm=[0, 2, 3, 1])
    x = b.op("ReduceMean", x, axes=[1, 2], keepdims=0)
    return b.model(b.op("Softmax", b.rows(x, 8, 5)), [1, 16, 16, 3], opset=13)
