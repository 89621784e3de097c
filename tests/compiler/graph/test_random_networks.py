"""Random small networks: every tensor on the model is the interpreter's, onnxruntime agrees.

The graphs are float graphs that onnxruntime quantises, so that scales, zero points and the places
of QuantizeLinear nodes are as it makes them.
"""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from tests.support.networks import decibels, differing, integer
from tests.support.onnx_models import by_onnxruntime, inputs_of, model, quantised
from vta import rpc
from vta.check import check_program
from vta.compiler.graph.compile_network import compile_network
from vta.config import VTAConfig
from vta.network_check import check_network
from vta.network_file import network_bytes, network_from_bytes
from vta.runtime.network import NetworkModule

CHANNELS = (1, 3, 8, 16, 20, 32)
MACHINE = VTAConfig(target="sim")


class _Builder:
    """A float model under construction: feature maps that later nodes can read."""

    def __init__(self, draw):
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
        self.nodes, self.weights = [], {}
        channels, size = draw(st.sampled_from(CHANNELS)), draw(st.integers(4, 9))
        self.input = [1, channels, size, draw(st.integers(4, 9))]
        self.maps = [("x", tuple(self.input[1:]))]

    def add(self, kind, inputs, shape, **attributes):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [f"t{name}"], name, **attributes))
        if shape is not None:
            self.maps.append((f"t{name}", shape))
        return f"t{name}"

    def constant(self, *shape, scale=1.0):
        name = f"w{len(self.weights)}"
        self.weights[name] = self.rng.normal(0, scale, shape).astype(np.float32)
        return name

    def convolve(self):
        draw = self.draw
        source, (channels, height, width) = draw(st.sampled_from(self.maps))
        kernel = [draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))]
        strides = [draw(st.integers(1, 2)), draw(st.integers(1, 2))]
        pads = [draw(st.integers(0, k - 1)) for k in (*kernel, *kernel)]
        group = draw(st.sampled_from([1, 1, channels]))
        out = channels if group > 1 else draw(st.sampled_from(CHANNELS))
        taps = channels // group * kernel[0] * kernel[1]
        names = [source, self.constant(out, channels // group, *kernel, scale=taps**-0.5)]
        if draw(st.booleans()):
            names.append(self.constant(out, scale=0.3))
        size = [
            (extent + pads[axis] + pads[axis + 2] - kernel[axis]) // strides[axis] + 1
            for axis, extent in enumerate((height, width))
        ]
        self.add(
            "Conv", names, (out, *size), kernel_shape=kernel, strides=strides, pads=pads,
            group=group,
        )  # fmt: skip
        if draw(st.booleans()):
            self.add("Relu", [self.maps[-1][0]], self.maps[-1][1])

    def pool(self):
        draw = self.draw
        source, (channels, height, width) = draw(st.sampled_from(self.maps))
        kernel = [draw(st.integers(1, min(3, height))), draw(st.integers(1, min(3, width)))]
        strides = [draw(st.integers(1, 2)), draw(st.integers(1, 2))]
        kind, more, pads = draw(st.sampled_from(["MaxPool", "AveragePool"])), {}, [0, 0, 0, 0]
        if kind == "MaxPool":
            pads = [draw(st.integers(0, k - 1)) for k in (*kernel, *kernel)]
            more = {"pads": pads, "ceil_mode": draw(st.integers(0, 1))}
        size = []
        for axis, extent in enumerate((height, width)):
            padded, step = extent + pads[axis] + pads[axis + 2], strides[axis]
            rest = padded - kernel[axis]
            count = rest // step + 1
            if more.get("ceil_mode") and rest % step and count * step < extent + pads[axis]:
                count += 1
            size.append(count)
        self.add(kind, [source], (channels, *size), kernel_shape=kernel, strides=strides, **more)

    def combine(self):
        first, shape = self.draw(st.sampled_from(self.maps))
        same = [name for name, other in self.maps if other == shape]
        second = self.draw(st.sampled_from(same))
        if self.draw(st.booleans()):
            self.add("Add", [first, second], shape)
        else:
            joined = (2 * shape[0], *shape[1:])
            self.add("Concat", [first, second], joined, axis=1)

    def activate(self):
        source, shape = self.draw(st.sampled_from(self.maps))
        kind = self.draw(
            st.sampled_from(["Sigmoid", "HardSwish", "LeakyRelu", "BatchNormalization"])
        )
        names = []
        if kind == "BatchNormalization":
            names = [self.constant(shape[0], scale=0.5) for _ in range(3)]
            names.append(self.constant(shape[0]))
            self.weights[names[-1]] = np.abs(self.weights[names[-1]]) + np.float32(0.5)
        self.add(kind, [source, *names], shape)

    def move(self):
        """Data are moved, framed, resized, or joined with constants."""
        draw = self.draw
        source, (channels, height, width) = draw(st.sampled_from(self.maps))
        kind = draw(st.sampled_from(["Concat", "DepthToSpace", "Pad", "Resize", "SpaceToDepth",
                                     "Transpose"]))  # fmt: skip
        if kind == "Concat":
            other = self.constant(1, draw(st.integers(1, 17)), height, width)
            names = draw(st.permutations([source, other]))
            shape = (channels + self.weights[other].shape[1], height, width)
            self.add("Concat", names, shape, axis=1)
        elif kind == "DepthToSpace" and channels % 4 == 0:
            mode = draw(st.sampled_from(["DCR", "CRD"]))
            shape = (channels // 4, 2 * height, 2 * width)
            self.add(kind, [source], shape, blocksize=2, mode=mode)
        elif kind == "SpaceToDepth" and height % 2 == width % 2 == 0:
            self.add(kind, [source], (4 * channels, height // 2, width // 2), blocksize=2)
        elif kind == "Transpose":
            self.add(kind, [source], (channels, width, height), perm=[0, 1, 3, 2])
        elif kind == "Resize":
            scales = self.integers_or_reals(np.float32([1, 1, draw(st.sampled_from([2, 3])), 2]))
            mode = draw(st.sampled_from(["nearest", "linear", "cubic"]))
            factor = int(self.weights[scales][2])
            self.add(kind, [source, "", scales], (channels, factor * height, 2 * width), mode=mode)
        elif kind == "Pad":
            mode = draw(st.sampled_from(["constant", "edge", "reflect", "wrap"]))
            pads = [draw(st.integers(0, min(2, extent - 1))) for extent in (height, width) * 2]
            names = [source, self.integers_or_reals(np.int64([0, 0, *pads[:2], 0, 0, *pads[2:]]))]
            if mode == "constant" and draw(st.booleans()):
                names.append(
                    self.integers_or_reals(np.float32(draw(st.sampled_from([0.3, -9, 0]))))
                )
            shape = (channels, height + pads[0] + pads[2], width + pads[1] + pads[3])
            self.add(kind, names, shape, mode=mode)

    def integers_or_reals(self, values):
        name = f"w{len(self.weights)}"
        self.weights[name] = values
        return name

    def finish(self):
        source, (channels, height, width) = self.maps[-1]
        outputs = {"y": [1, channels, height, width]}
        if self.draw(st.booleans()):
            flat = self.add("Flatten", [source], None)
            kernel = self.constant(5, channels * height * width, scale=0.1)
            self.nodes.append(helper.make_node("Gemm", [flat, kernel], ["y"], "fc", transB=1))
            outputs = {"y": [1, 5]}
        else:
            self.nodes[-1].output[0] = "y"
        return model(self.nodes, {"x": self.input}, outputs, self.weights, opset=22)


@st.composite
def models(draw):
    builder = _Builder(draw)
    builder.convolve()
    for _ in range(draw(st.integers(0, 4))):
        steps = [builder.activate, builder.combine, builder.convolve, builder.move, builder.pool]
        draw(st.sampled_from(steps))()
    return builder.finish()


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(models(), st.booleans(), st.booleans())
def test_random_networks(made, symmetric, per_channel):
    with tempfile.TemporaryDirectory() as folder:
        path = quantised(made, Path(folder), symmetric=symmetric, per_channel=per_channel)
        graph = integer(path)
        network = compile_network(graph, MACHINE)
        check_network(network)
        content = network_bytes(network)
        again = network_from_bytes(content)
        assert network_bytes(again) == content
        module = NetworkModule(again, rpc.LocalSession(MACHINE).ext_dev(0))
        inputs = inputs_of(made, 1000)
        wrong, ran = differing(graph, module, inputs)
        assert not wrong
        joined = compile_network(graph, MACHINE, join_programs=True)
        for step in joined.steps:
            assert step.program is None or check_program(step.program).ok
        (together,) = NetworkModule(joined, rpc.LocalSession(MACHINE).ext_dev(0))(inputs).values()
        np.testing.assert_array_equal(together, *ran.outputs.values())
        (want,) = by_onnxruntime(path, inputs).values()
        (got,) = ran.outputs.values()
        assert got.shape == want.shape
        assert decibels(want, got) > 18
