"""Networks on a device against the integer interpreter, tensor by tensor."""

import numpy as np

from vta.compiler.frontend.onnx_import import import_onnx
from vta.compiler.graph.interpreter import interpret
from vta.compiler.graph.pipeline import integer_graph
from vta.compiler.graph.verify import verify_graph
from vta.packing import unpack, unpack_rows


def integer(path, *, one_pass=True):
    """The integer graph of an ONNX file, verified after each pass; ``one_pass`` needs a machine
    with the extension."""
    return integer_graph(
        import_onnx(path), one_pass=one_pass, observe=lambda graph, name: verify_graph(graph)
    )


def differing(graph, module, inputs):
    """The names of tensors that differ from the interpreter's, and the run."""
    wanted, wrong, compared = interpret(graph, inputs), [], []

    def look(name, values):
        if name in wanted:
            compared.append(name)
            if values.shape != wanted[name].shape:
                values = plain(values, wanted[name].shape)
            if not np.array_equal(values, wanted[name]):
                wrong.append(name)

    ran = module.run(inputs, observe=look)
    assert set(graph.outputs) <= set(compared)
    assert 2 * len(compared) >= len(graph.nodes)
    return wrong, ran


def plain(values, shape):
    """A tensor of the machine in the shape that the model has."""
    return unpack(values, shape) if values.ndim == len(shape) + 2 else unpack_rows(values, shape)


def decibels(wanted, got):
    """Signal to quantisation noise of ``got``, in dB; infinite if they are equal."""
    wanted, got = np.asarray(wanted, np.float64), np.asarray(got, np.float64)
    noise = ((wanted - got) ** 2).sum()
    return np.inf if noise == 0 else 10 * np.log10((wanted**2).sum() / noise)
