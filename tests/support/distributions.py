"""Source distribution and wheel of the files that Git knows, made as a release makes them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Distributions", "build", "tracked_files"]

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Distributions:
    """The two files, and the names inside them: of the source distribution without its folder."""

    sdist: Path
    wheel: Path

    @property
    def sources(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            files = [member.name for member in archive.getmembers() if member.isfile()]
        return {name.partition("/")[2] for name in files}

    @property
    def installed(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())


def tracked_files() -> list[str]:
    """The files of the repository, those that are new and not ignored included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(
        name for name in set(listed.stdout.split("\0")) if name and (ROOT / name).exists()
    )


def build(folder: Path) -> Distributions:
    """Make both by ``python -m build``: the wheel from the unpacked source distribution."""
    copy, out = folder / "checkout", folder / "dist"
    for name in tracked_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", out, copy],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return Distributions(sdist, wheel)
