"""ONNX operators that take parts of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vta.compiler.frontend.onnx_import import Importer, OnnxNode

__all__ = ["SLICES"]

Handler = Callable[[Importer, OnnxNode], None]


def _slice(importer: Importer, node: OnnxNode) -> None:
    node.require()
    data = importer.tensor(node, 0)
    starts, ends = (
        importer.integers(node, index, what) for index, what in ((1, "starts"), (2, "ends"))
    )
    axes, steps = (
        importer.integers(node, index, what)
        if importer.has(node, index) else default
        for index, what, default in (
            (3, "axes", list(range(len(starts)))), (4, "steps", [1] * len(starts))
        )
    )  # fmt: skip
    rank = len(data.shape)
    if len({len(starts), len(ends), len(axes), len(steps)}) > 1 or 0 in steps:
        raise node.error(
            f"starts {starts}, ends {ends}, axes {axes}, steps {steps}; must have one length, and "
            f"no step be 0"
        )
    axes = node.axes(axes, rank)
    places = [range(extent) for extent in data.shape]
    for axis, start, end, step in zip(axes, starts, ends, steps):
        # As Python: bounds that are out of range are clipped to it.
        places[axis] = range(data.shape[axis])[start : _end(end, step, data.shape[axis]) : step]
    importer.add(
        node, "slice", [data.name], [len(place) for place in places], dtype=data.dtype,
        begins=tuple(place.start for place in places), steps=tuple(place.step for place in places),
    )  # fmt: skip


def _end(end: int, step: int, extent: int) -> int | None:
    """With a negative step, everything below the first element is an end that is absent."""
    return None if step < 0 and end < -extent else end


SLICES: Mapping[tuple[str, str], Handler] = {("", "Slice"): _slice}
"""By domain and operator."""
