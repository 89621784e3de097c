"""Wake-word networks of a package, as TensorFlow Lite quantised them: int8, asymmetric activations.

A network reads three rows of 40 features (30 ms of sound) at a time and keeps what it needs of
earlier ones in variables. ONNX has no variables: here they are inputs and outputs, and the caller
gives the outputs of one run to the next.
"""

import numpy as np
import onnx

from tests.networks.packages import member
from tests.networks.tflite_model import converted

PACKAGE = "pymicro-wakeword==2.5.0"
NAMES = ("okay_nabu", "alexa", "hey_jarvis", "hey_mycroft")
FEATURES = "features"
PROBABILITY = "probability"
FRAME = (1, 3, 40)
#: Loudness, in steps of the features, of 8 bands at 8 times: found by a search, no real sound.
WORD = np.array([
    [28, 255, 255, 0, 0, 0, 0, 0],
    [145, 245, 249, 0, 0, 255, 49, 205],
    [197, 255, 72, 9, 255, 255, 255, 0],
    [255, 30, 29, 0, 171, 255, 55, 49],
    [255, 29, 255, 255, 0, 72, 8, 0],
    [255, 236, 0, 253, 116, 255, 0, 29],
    [5, 229, 48, 197, 154, 75, 0, 7],
    [0, 19, 255, 0, 217, 207, 111, 77],
])  # fmt: skip


def tflite_file(name=NAMES[0]):
    """The bytes of a network of the package."""
    return member(PACKAGE, f"pymicro_wakeword/models/{name}.tflite")


def wakeword(name=NAMES[0]):
    """A network as an int8 ONNX model with QuantizeLinear and DequantizeLinear.

    Inputs are ``features``, int8 of shape (1, 3, 40), and variables, int8 in NCHW; outputs are
    ``probability``, uint8 of shape (1, 1) in steps of 1/256, and ``VARIABLE.next`` of each.
    """
    return converted(tflite_file(name), FEATURES, PROBABILITY)


def first_inputs(model):
    """The variables before the first frame: zero in real numbers."""
    return {
        value.name: np.full([dim.dim_value for dim in value.type.tensor_type.shape.dim], -128,
                            np.int8)
        for value in model.graph.input if value.name != FEATURES
    }  # fmt: skip


def next_inputs(outputs):
    """The variables after a run, as inputs of the next one."""
    return {
        name.removesuffix(".next"): values
        for name, values in outputs.items()
        if name.endswith(".next")
    }


def frames():
    """Features of 40 runs: a spectrogram that okay_nabu takes for its word, and silence."""
    rows, bands = WORD.shape
    time, band = np.linspace(0, rows - 1, 3 * 30), np.linspace(0, bands - 1, FRAME[2])
    wide = np.array([np.interp(band, np.arange(bands), row) for row in WORD])
    word = np.array([np.interp(time, np.arange(rows), column) for column in wide.T]).T
    found = np.full((40, *FRAME), -128, np.int8)
    found[:30] = np.rint(word - 128).reshape(30, *FRAME)
    return found


def samples(path):
    """The inputs of each frame, with the variables as onnxruntime computes them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    names = [value.name for value in session.get_outputs()]
    variables = first_inputs(onnx.load(path))
    for features in frames():
        yield (inputs := {FEATURES: features, **variables})
        variables = next_inputs(dict(zip(names, session.run(names, inputs))))
