"""TensorFlow Lite's own interpreter, by the C library that a package of wake words ships."""

import ctypes
import platform

import numpy as np
import pytest

from tests.networks.packages import member
from tests.networks.wakeword import PACKAGE

LIBRARY = "pymicro_wakeword/lib/libtensorflowlite_c.so"


class Interpreter:
    """One network with one input and one output; variables are kept from run to run."""

    def __init__(self, content, folder):
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            pytest.skip("the package's library is for Linux on x86-64")
        path = folder / "libtensorflowlite_c.so"
        path.write_bytes(member(PACKAGE, LIBRARY))
        self._library, self._content = ctypes.CDLL(str(path)), content
        model = self._pointer("ModelCreate", content, ctypes.c_size_t(len(content)))
        self._interpreter = self._pointer("InterpreterCreate", model, None)
        self._call("InterpreterAllocateTensors", self._interpreter)
        self._input = self._pointer("InterpreterGetInputTensor", self._interpreter, 0)
        self._output = self._pointer("InterpreterGetOutputTensor", self._interpreter, 0)

    def run(self, data, result):
        """Compute the output of ``data`` into the array ``result``."""
        data = np.ascontiguousarray(data)
        size = ctypes.c_size_t(data.nbytes)
        self._call("TensorCopyFromBuffer", self._input, data.ctypes.data_as(ctypes.c_void_p), size)
        self._call("InterpreterInvoke", self._interpreter)
        pointer, size = result.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(result.nbytes)
        self._call("TensorCopyToBuffer", self._output, pointer, size)
        return result

    def _pointer(self, name, *arguments):
        function = getattr(self._library, f"TfLite{name}")
        function.restype = ctypes.c_void_p
        found = function(*arguments)
        assert found, name
        return ctypes.c_void_p(found)

    def _call(self, name, *arguments):
        status = getattr(self._library, f"TfLite{name}")(*arguments)
        assert status == 0, f"{name}: status {status}"
