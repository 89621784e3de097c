"""The suite on every Python version that the project supports: `make test-pythons` calls this.

python -m tests.pythons.run_all [--folder DIR] [VERSION ...]

Each interpreter that is found gets a virtual environment and runs a part of the suite that depends
on Python: everything that elaborates, compiles, models or parses, but no long simulation and no
synthesis; then the tutorials on the RTL of a small machine. Versions that are not found are named.
The exit code is 1 if a version failed, or none was found.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.11", "3.12", "3.13")
"""The versions of pyproject.toml's classifiers."""
TESTS = (
    "tests/vta", "tests/compiler", "tests/runtime", "tests/sim/reference", "tests/hw/test_emit.py",
    "tests/system/test_tutorials.py", "tests/system/test_pages.py", "tests/system/test_readme.py",
    "tests/test_architecture.py",
)  # fmt: skip
MARKERS = "not slow and not formal and not configs"
TUTORIALS = ("tutorials/run_all.py", "--target", "tsim", "--preset", "tiny")


def find(version: str) -> str | None:
    """An interpreter of a version that runs: on PATH, or of pyenv, whose names on PATH may not."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable, shutil.which(f"python{version}")]
    candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"))]
    for candidate in candidates:
        if candidate is not None and _version(candidate) == version:
            return candidate
    return None


def _version(python: str) -> str | None:
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def passes(python: str, folder: Path) -> bool:
    """Whether the tests pass on an interpreter, in an environment made in ``folder``."""
    own = folder / "bin" / "python"
    commands = [
        [python, "-m", "venv", folder],
        [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-e", ".[test]"],
        [own, "-m", "pytest", "-q", "-n", "auto", "-m", MARKERS, *TESTS],
        [own, *TUTORIALS],
    ]
    return all(
        subprocess.run(command, cwd=ROOT, check=False).returncode == 0 for command in commands
    )


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.pythons.run_all",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("versions", nargs="*", metavar="VERSION", help=f"default: {VERSIONS}")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "pythons")
    args = parser.parse_args()
    results = {}
    for version in args.versions or VERSIONS:
        python = find(version)
        if python is None:
            results[version] = "not found"
            continue
        print(f"\n== Python {version}: {python} ==", flush=True)
        results[version] = "passed" if passes(python, args.folder / version) else "FAILED"
    for version, result in results.items():
        print(f"Python {version}: {result}")
    return "FAILED" in results.values() or "passed" not in results.values()


if __name__ == "__main__":
    sys.exit(main())
