"""ResNet-8 for handwritten digits, trained here in NumPy: `python -m tests.networks.resnet8`.

Three blocks of two 3x3 convolutions with 16, 32 and 64 channels, the second and third of stride 2
with a 1x1 convolution beside them. There are no batch norms: the second convolution of a block
starts at zero. Every tenth of the 5,000 digits of :mod:`tests.networks.digits` is held out. The
same seed gives the same weights on the same computer.
"""

import time

import numpy as np
from onnx import helper
from threadpoolctl import threadpool_limits

from tests.networks import digits
from tests.support.onnx_models import model

#: Of each convolution: its name, channels of its input and its result, taps, stride.
LAYERS = (
    ("stem", 1, 16, 3, 1),
    ("one/a", 16, 16, 3, 1), ("one/b", 16, 16, 3, 1),
    ("two/a", 16, 32, 3, 2), ("two/b", 32, 32, 3, 1), ("two/short", 16, 32, 1, 2),
    ("three/a", 32, 64, 3, 2), ("three/b", 64, 64, 3, 1), ("three/short", 32, 64, 1, 2),
)  # fmt: skip
STRIDES = {name: stride for name, *_, stride in LAYERS}
BLOCKS = ("one", "two", "three")
EPOCHS, BATCH, RATE = 6, 30, 3e-3


def split():
    """((inputs, labels) to train with, (inputs, labels) that are held out); inputs are NCHW."""
    pixels, labels = digits.digits()
    inputs, held = digits.prepared(pixels), np.arange(len(labels)) % 10 == 0
    return (inputs[~held], labels[~held]), (inputs[held], labels[held])


def initial(seed=0):
    """Weights of each convolution as (taps, taps, inputs, outputs), and biases."""
    rng, weights = np.random.default_rng(seed), {}
    for name, inputs, outputs, taps, _ in LAYERS:
        deviation = 0 if name.endswith("/b") else np.sqrt(2 / (taps * taps * inputs))
        weights[f"{name}.w"] = rng.normal(0, deviation, (taps, taps, inputs, outputs))
        weights[f"{name}.b"] = np.zeros(outputs)
    weights["fc.w"], weights["fc.b"] = rng.normal(0, 0.1, (64, 10)), np.zeros(10)
    return {name: values.astype(np.float32) for name, values in weights.items()}


class Pass:
    """One forward pass on images (NHWC), and the gradients of the weights after it."""

    def __init__(self, weights):
        self.weights, self.gradients, self._steps = weights, {}, []

    def conv(self, name, data):
        kernel, stride = self.weights[f"{name}.w"], STRIDES[name]
        taps, _, inputs, outputs = kernel.shape
        pad = taps // 2
        wide = np.pad(data, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        views = np.lib.stride_tricks.sliding_window_view(wide, (taps, taps), axis=(1, 2))
        views = views[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)
        count, height, width = views.shape[:3]
        columns = views.reshape(-1, taps * taps * inputs)
        flat = kernel.reshape(-1, outputs)
        result = (columns @ flat + self.weights[f"{name}.b"]).reshape(count, height, width, -1)

        def back(gradient):
            rows = gradient.reshape(-1, outputs)
            self.gradients[f"{name}.w"] = (columns.T @ rows).reshape(kernel.shape)
            self.gradients[f"{name}.b"] = rows.sum(axis=0)
            spread = (rows @ flat.T).reshape(count, height, width, taps, taps, inputs)
            whole = np.zeros_like(wide)
            for y in range(taps):
                for x in range(taps):
                    down, across = y + stride * height, x + stride * width
                    whole[:, y:down:stride, x:across:stride] += spread[:, :, :, y, x]
            return whole[:, pad : pad + data.shape[1], pad : pad + data.shape[2]]

        return result, back

    def run(self, data, labels):
        """The mean loss, whose gradients are in :attr:`gradients` then."""
        data, stem = self.conv("stem", data)
        first = data = np.maximum(data, 0)
        backs = []
        for block in BLOCKS:
            inner, back_a = self.conv(f"{block}/a", data)
            active = np.maximum(inner, 0)
            sums, back_b = self.conv(f"{block}/b", active)
            beside, back_short = (
                (data, lambda gradient: gradient) if block == "one"
                else self.conv(f"{block}/short", data)
            )  # fmt: skip
            data = np.maximum(sums + beside, 0)
            backs.append((back_a, active, back_b, back_short, data))
        average = data.mean(axis=(1, 2))
        logits = average @ self.weights["fc.w"] + self.weights["fc.b"]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances = powers / powers.sum(axis=1, keepdims=True)
        loss = -np.log(chances[np.arange(len(labels)), labels] + 1e-9).mean()
        error = chances.copy()
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        self.gradients["fc.w"], self.gradients["fc.b"] = average.T @ error, error.sum(axis=0)
        pixels = data.shape[1] * data.shape[2]
        gradient = np.broadcast_to((error @ self.weights["fc.w"].T / pixels)[:, None, None],
                                   data.shape)  # fmt: skip
        for back_a, active, back_b, back_short, result in reversed(backs):
            gradient = gradient * (result > 0)
            gradient = back_short(gradient) + back_a(back_b(gradient) * (active > 0))
        stem(gradient * (first > 0))
        return loss


@threadpool_limits.wrap(limits=1)  # small products: a second thread costs more than it gives
def train(seed=0, tell=lambda text: None):
    """Trained weights: Adam, with a rate that falls to zero, on images moved by up to a pixel."""
    (inputs, labels), _ = split()
    data, rng, weights = inputs.transpose(0, 2, 3, 1), np.random.default_rng(seed), initial(seed)
    means, squares = ({n: np.zeros_like(w) for n, w in weights.items()} for _ in range(2))
    moves = np.random.default_rng(seed + 7)
    steps, step = EPOCHS * (len(data) // BATCH), 0
    for epoch in range(EPOCHS):
        for chosen in rng.permutation(len(data)).reshape(-1, BATCH):
            step += 1
            now = Pass(weights)
            move = moves.integers(-1, 2, 2)
            loss = now.run(np.roll(data[chosen], move, axis=(1, 2)), labels[chosen])
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            for name, gradient in now.gradients.items():
                means[name] = 0.9 * means[name] + 0.1 * gradient
                squares[name] = 0.999 * squares[name] + 0.001 * gradient**2
                mean = means[name] / (1 - 0.9**step)
                scale = np.sqrt(squares[name] / (1 - 0.999**step)) + 1e-8
                weights[name] = (weights[name] - rate * mean / scale).astype(np.float32)
        tell(f"epoch {epoch + 1} of {EPOCHS}: loss {loss:.3f}")
    return weights


def network(weights):
    """The float ONNX model, from images of 28 x 28 to ten logits; one image a run."""
    constants, nodes, node = {}, [], helper.make_node

    def conv(name, source):
        kernel = weights[f"{name}.w"]
        constants[f"{name}.w"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        constants[f"{name}.b"] = weights[f"{name}.b"]
        pads, strides = [kernel.shape[0] // 2] * 4, [STRIDES[name]] * 2
        names = [source, f"{name}.w", f"{name}.b"]
        nodes.append(node("Conv", names, [f"{name}.sum"], name, pads=pads, strides=strides))
        return f"{name}.sum"

    def relu(source, name):
        nodes.append(node("Relu", [source], [f"{name}.out"], f"{name}/relu"))
        return f"{name}.out"

    data = relu(conv("stem", "data"), "stem")
    for block in BLOCKS:
        sums = conv(f"{block}/b", relu(conv(f"{block}/a", data), f"{block}/a"))
        beside = data if block == "one" else conv(f"{block}/short", data)
        nodes.append(node("Add", [sums, beside], [f"{block}.sum"], f"{block}/add"))
        data = relu(f"{block}.sum", block)
    nodes += [
        node("GlobalAveragePool", [data], ["average"], "average"),
        node("Flatten", ["average"], ["features"], "flatten"),
        node("Gemm", ["features", "fc.w", "fc.b"], ["logits"], "fc"),
    ]
    constants |= {name: weights[name] for name in ("fc.w", "fc.b")}
    return model(nodes, {"data": [1, 1, 28, 28]}, {"logits": [1, 10]}, constants)


def main():
    began = time.process_time()
    train(tell=print)
    print(f"{time.process_time() - began:.0f} s of the CPU")


if __name__ == "__main__":
    main()
