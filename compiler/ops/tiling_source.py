"""Where operators take their tilings from: the tiler, or a source that the caller names.

A source is asked for every operator on GEMM that is made inside ``with tilings_from(source):``. It
decides cycles only: each tiling computes the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from vta.compiler.ops.tiling import ConvShape, Tiling, choose, require_fit

if TYPE_CHECKING:
    from vta.compiler.ops.requantise import Requantise
    from vta.compiler.ops.residual import Residual
    from vta.config import VTAConfig

__all__ = ["Noting", "TilingSource", "tiling_for", "tilings_from"]


class TilingSource(Protocol):
    """Gives tilings."""

    def __call__(
        self, shape: ConvShape, requantise: Requantise, cfg: VTAConfig, residual: Residual | None
    ) -> Tiling | None:
        """The tiling of an operator, with the tensor that is added to its result, if there is one;
        None: the tiler chooses."""


class Noting:
    """A source that notes whether it gave a tiling.

    Parameters
    ----------
    source : TilingSource or None
        Where tilings come from; None: the source of :func:`tilings_from` around it, if any.
    """

    def __init__(self, source: TilingSource | None) -> None:
        self.source = source or _source.get()
        self.gave = False

    def __call__(
        self, shape: ConvShape, requantise: Requantise, cfg: VTAConfig, residual: Residual | None
    ) -> Tiling | None:
        source = self.source
        tiling = None if source is None else source(shape, requantise, cfg, residual)
        self.gave |= tiling is not None
        return tiling


_source: ContextVar[TilingSource | None] = ContextVar("tiling source", default=None)


@contextmanager
def tilings_from(source: TilingSource) -> Iterator[None]:
    """Operators that are made inside have the tilings of ``source``, in this thread or task."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def tiling_for(
    name: str,
    shape: ConvShape,
    requantise: Requantise,
    cfg: VTAConfig,
    given: Tiling | None,
    residual: Residual | None = None,
) -> Tiling:
    """The tiling of an operator: the one given, else that of the source, else the tiler's.

    Raises
    ------
    OperatorError
        If the tiling exceeds the memories of the machine, or none fits; ``name`` is the
        operator's, for the message.
    """
    source = _source.get()
    if given is None and source is not None:
        given = source(shape, requantise, cfg, residual)
    if given is None:
        return choose(name, shape, cfg)
    require_fit(name, shape, given, cfg)
    return given
