"""The platform of a design that a simulator runs."""

__all__ = ["SimulatorPlatform"]


class SimulatorPlatform:
    """Passed to ``elaborate`` in place of a board's platform: a block that has another form for
    simulators, with the same ports and the same values in each cycle, elaborates to that form."""
