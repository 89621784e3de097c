"""O-Net, the last network of MTCNN's face detector, with the weights of a package: PReLU, maxima of
ragged windows, three outputs."""

import io

import numpy as np
from onnx import helper

from tests.networks.packages import member
from tests.networks.torch_files import weights as read_weights
from tests.support.onnx_models import model
from vta.preprocessing import Preprocessing

PACKAGE = "facenet-pytorch==2.6.0"
WEIGHTS = "facenet_pytorch/data/onet.pt"
SIZE = 48
PIXELS = Preprocessing("rgb", 0, 1.0, (127.5,) * 3, (128.0,) * 3)
FACES = ("scikit-image==0.26.0", "skimage/data/lfw_subset.npy")
#: Of each convolution: the kernel of the maximum that follows, if any.
POOLS = {1: 3, 2: 3, 3: 2, 4: 0}


def onet():
    """The model, from a face of 48 x 48 pixels, ``(pixel - 127.5) / 128``, to corrections of a box
    (4), places of eyes, nose and mouth (10) and the probabilities of no face and a face."""
    state = read_weights(member(PACKAGE, WEIGHTS))
    nodes, data, node, weights = [], "data", helper.make_node, {}

    def prelu(number, data, *, ones):
        slope = state[f"prelu{number}.weight"]
        weights[f"slope{number}"] = slope.reshape(-1, *([1] * ones))
        nodes.append(node("PRelu", [data, f"slope{number}"], [f"prelu{number}"], f"prelu{number}"))
        return f"prelu{number}"

    def gemm(name, data):
        inputs = [data, f"dense{name}.weight", f"dense{name}.bias"]
        nodes.append(node("Gemm", inputs, [f"dense{name}"], f"dense{name}", transB=1))
        return f"dense{name}"

    for number, kernel in POOLS.items():
        name = f"conv{number}"
        nodes.append(node("Conv", [data, f"{name}.weight", f"{name}.bias"], [name], name))
        data = prelu(number, name, ones=2)
        if kernel:
            nodes.append(
                node("MaxPool", [data], [f"pool{number}"], f"pool{number}",
                     kernel_shape=[kernel] * 2, strides=[2, 2], ceil_mode=1)
            )  # fmt: skip
            data = f"pool{number}"
    nodes += [
        node("Transpose", [data], ["turned"], "turned", perm=[0, 3, 2, 1]),
        node("Flatten", ["turned"], ["flat"], "flatten"),
    ]
    data = prelu(5, gemm("5", "flat"), ones=0)
    box, points, logits = (gemm(f"6_{part}", data) for part in (2, 3, 1))
    nodes.append(node("Softmax", [logits], ["face"], "softmax", axis=1))
    weights |= {name: values for name, values in state.items() if not name.startswith("prelu")}
    outputs = {box: [1, 4], points: [1, 10], "face": [1, 2]}
    return model(nodes, {"data": [1, 3, SIZE, SIZE]}, outputs, weights)


def faces():
    """Inputs: a hundred faces, then a hundred pictures of something else, gray."""
    from PIL import Image

    pictures = np.load(io.BytesIO(member(*FACES)), allow_pickle=False)
    found = []
    for picture in pictures:
        pixels = Image.fromarray((picture * 255).astype(np.uint8)).resize((SIZE, SIZE))
        values = (np.asarray(pixels, np.float32) - 127.5) / 128
        found.append(np.broadcast_to(values, (1, 3, SIZE, SIZE)).copy())
    return found
