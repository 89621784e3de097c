"""Run every measurement of docs/benchmarks.md, one after the other: `make bench`."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Each in a process of its own, so that none warms up or slows down the next."""
    failed = []
    for bench in sorted(HERE.glob("bench_*.py")):
        print(f"\n== {bench.stem} ==", flush=True)
        if subprocess.run(
            [sys.executable, "-m", f"tests.bench.{bench.stem}"],
            cwd=HERE.parents[1],
            check=False,
        ).returncode:
            failed.append(bench.stem)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
