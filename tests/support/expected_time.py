"""How long the default suite will take on this computer, said before it begins.

The last run of this checkout is the best guess. Without one, the time of the suite on a known
computer is scaled by how fast this one runs a piece of Python, and by its cores.
"""

import time

REFERENCE_CPU_SECONDS = 800.0
"""Of all tests of the default selection together, on the computer of docs/benchmarks.md, with the
simulated machines built already."""
REFERENCE_BUILDS = 300.0
"""CPU seconds more where they have to be built."""
REFERENCE_LOOP = 0.038
"""CPU seconds of :func:`loop_seconds` there."""
KEY = "vta/default-suite"
"""Of the record in pytest's cache: seconds and workers of the last whole run."""


def loop_seconds():
    """CPU seconds of a fixed piece of Python, the best of three."""
    found = []
    for _ in range(3):
        begin = time.process_time()
        total = 0
        for number in range(1_000_000):
            total += number * number % 7
        found.append(time.process_time() - begin)
    return min(found)


def estimate(workers, record, built, loop=loop_seconds):
    """The line that is printed.

    Parameters
    ----------
    workers : int
    record : dict or None
        ``seconds`` and ``workers`` of the last whole run.
    built : bool
        Whether simulated machines are in the cache.
    loop : callable
        Gives the CPU seconds of the piece of Python here.
    """
    if record is not None and record["workers"] == workers:
        return f"expected: {minutes(record['seconds'])}, as the last run here took"
    work = REFERENCE_CPU_SECONDS + (0 if built else REFERENCE_BUILDS)
    seconds = work * loop() / REFERENCE_LOOP / workers
    return (
        f"expected: about {minutes(seconds)} on {workers} idle cores, by the speed of this computer"
        f"{'' if built else '; simulated machines are built first'}"
    )


def minutes(seconds):
    """A time for people."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
