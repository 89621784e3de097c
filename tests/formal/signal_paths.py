"""The registers inside a block, by name, for the invariants that an induction needs."""

from vta.hw.debug.signal_paths import Inside

__all__ = ["Inside"]
