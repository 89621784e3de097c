"""Weights in the files of PyTorch, read without PyTorch; nothing in a file is executed.

A file of today is a ZIP archive with a pickle of the tensors' shapes and a member for each
storage. The older kind is a sequence of pickles, then the storages. The unpickler admits the names
of tensors and nothing else.
"""

import collections
import io
import pickle
import zipfile

import numpy as np

_TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64, "DoubleStorage": np.float64}


class _Tensor:
    """A tensor whose storage is read later."""

    def __init__(self, storage, offset, shape, strides):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self, storages):
        values = storages[self.storage]
        step = values.itemsize
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, [stride * step for stride in self.strides]
        )
        return view.copy()


def _rebuild(storage, offset, shape, strides, *_):
    return _Tensor(storage, offset, shape, strides)


class _Unpickler(pickle.Unpickler):
    def __init__(self, data):
        super().__init__(data, encoding="latin1")
        self.types = {}

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a tensor")

    def persistent_load(self, identity):
        _, kind, key, *_ = identity
        self.types[key] = _TYPES[kind]
        return key


def weights(data):
    """The arrays of a state dictionary by name."""
    if zipfile.is_zipfile(io.BytesIO(data)):
        return _from_archive(data)
    return _from_sequence(data)


def _from_archive(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (index,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        unpickler = _Unpickler(io.BytesIO(archive.read(index)))
        state = unpickler.load()
        root = index.removesuffix("data.pkl")
        storages = {
            key: np.frombuffer(archive.read(f"{root}data/{key}"), kind)
            for key, kind in unpickler.types.items()
        }
    return {name: tensor.array(storages) for name, tensor in state.items()}


def _from_sequence(data):
    file = io.BytesIO(data)
    for _ in range(3):  # magic number, version, byte order
        _Unpickler(file).load()
    unpickler = _Unpickler(file)
    state, keys = unpickler.load(), _Unpickler(file).load()
    storages = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        kind = np.dtype(unpickler.types[key])
        storages[key] = np.frombuffer(file.read(count * kind.itemsize), kind)
    return {name: tensor.array(storages) for name, tensor in state.items()}
