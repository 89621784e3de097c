"""ESRGAN-slim, a network that doubles a picture's size, with the weights of a package of npm."""

import json

import numpy as np
from onnx import helper

from tests.networks.packages import member
from tests.support.onnx_models import model
from vta.preprocessing import Preprocessing

PACKAGE = "npm:@upscalerjs/esrgan-slim@1.0.0"
PIXELS = Preprocessing("rgb", 0, 1.0, (0.0,) * 3, (1.0,) * 3)
FOLDER = "models/x2"


def _layers():
    """The layers of the file, in order, and the weights by name."""
    described = json.loads(member(PACKAGE, f"{FOLDER}/model.json"))
    (manifest,) = described["weightsManifest"]
    values = np.frombuffer(
        b"".join(member(PACKAGE, f"{FOLDER}/{path}") for path in manifest["paths"]), np.float32
    )
    weights, place = {}, 0
    for item in manifest["weights"]:
        assert item["dtype"] == "float32" and "quantization" not in item, item
        count = int(np.prod(item["shape"]))
        weights[item["name"]] = values[place : place + count].reshape(item["shape"])
        place += count
    assert place == len(values)
    return described["modelTopology"]["model_config"]["config"]["layers"], weights


def esrgan(height=48, width=48):
    """The model, from an RGB image with values 0 to 255 to one of twice the height and width."""
    layers, loaded = _layers()
    weights, nodes, tensors, node = {}, [], {}, helper.make_node
    for layer in layers:
        name, kind, config = layer["name"], layer["class_name"], layer["config"]
        sources = [tensors[item[0]] for item in (layer["inbound_nodes"] or [[]])[0]]
        tensors[name] = name
        if kind == "InputLayer":
            continue
        if kind == "Conv2D":
            assert config["strides"] == [1, 1] and config["activation"] == "linear", config
            kernel = loaded[f"{name}/kernel"].transpose(3, 2, 0, 1)
            weights[f"{name}.w"] = np.ascontiguousarray(kernel)
            weights[f"{name}.b"] = loaded[f"{name}/bias"]
            around = [extent // 2 for extent in config["kernel_size"]]
            inputs = [*sources, f"{name}.w", f"{name}.b"]
            nodes.append(node("Conv", inputs, [name], name, pads=around * 2))
        elif kind == "Activation":
            assert config["activation"] == "relu", config
            nodes.append(node("Relu", sources, [name], name))
        elif kind == "Concatenate":
            nodes.append(node("Concat", sources, [name], name, axis=1))
        elif kind == "Add":
            nodes.append(node("Add", sources, [name], name))
        elif kind == "UpSampling2D":
            assert config["interpolation"] == "nearest", config
            weights[f"{name}.scales"] = np.float32([1, 1, *config["size"]])
            nodes.append(
                node("Resize", [*sources, "", f"{name}.scales"], [name], name, mode="nearest",
                     coordinate_transformation_mode="asymmetric", nearest_mode="floor")
            )  # fmt: skip
        else:
            raise AssertionError(f"{name}: a layer of kind {kind}")
    size = {"LR": [1, 3, height, width]}
    return model(nodes, size, {"SR": [1, 3, 2 * height, 2 * width]}, weights)
