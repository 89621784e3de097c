"""How to install what an optional part of this package needs: the command that error texts print.

The distribution is not on a package index, and the name ``vta`` there belongs to an unrelated
package. So an error never says ``pip install`` and a distribution's name: a checkout is installed
by its path, an installed wheel by the requirements that its metadata list.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from vta.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "DISTRIBUTION",
    "checkout",
    "importing",
    "install_command",
    "missing_package",
    "requirements",
]

DISTRIBUTION = "vta-accelerator"


def missing_package(purpose: str, package: str | None, extra: str) -> str:
    """The text of an error about a Python package that is not installed.

    Parameters
    ----------
    purpose : str
        What needs the package, as the subject of a sentence: ```vta serve```, ``"the RTL"``.
    package : str or None
        The module that was not found: the ``name`` of a :class:`ModuleNotFoundError`.
    extra : str
        The extra that brings the package: ``rtl``, ``formal``, ``remote``, ``uart``, ``synth``,
        ``sdram``, ``gowin``, ``test`` or ``dev``.

    Raises
    ------
    ToolError
        As :func:`install_command`.
    """
    return (
        f"{purpose} needs the Python package {package}, which is not installed; "
        f"install it with: {install_command(extra)}"
    )


@contextmanager
def importing(purpose: str, extra: str, *, script: bool = False) -> Iterator[None]:
    """Turn a failed import of another project's package into the error that says what to install.

    Parameters
    ----------
    purpose, extra : str
        As in :func:`missing_package`.
    script : bool
        Whether the module is run as a script, where no caller can catch the error: the text goes to
        stderr and the exit code is 1.

    Raises
    ------
    ToolError
        If an import inside the ``with`` block does not find its package.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "vta":
            raise  # a fault of this package
        missing = ToolError(missing_package(purpose, error.name.partition(".")[0], extra))
    except ToolError as error:  # of an inner module, whose import failed in the same way
        missing = error
    else:
        return
    if script:
        sys.exit(f"error: {missing}")
    raise missing from None


def install_command(extra: str) -> str:
    """The shell command that installs the packages of an extra into the running Python.

    The command works in any folder and names the running interpreter, so that it reaches the
    virtual environment of this process. In a checkout it is the editable installation of that
    checkout; an installed wheel prints the requirements of the extra one by one, because neither
    the wheel file nor a package index may be there.

    Parameters
    ----------
    extra : str
        As in :func:`missing_package`. Several are separated by commas.

    Raises
    ------
    ToolError
        If there is no such extra, or the package runs neither from a checkout nor from an
        installation with metadata.
    """
    root = checkout()
    if root is not None:
        arguments = ["-e", f"{root}[{extra}]"]
    else:
        arguments = sorted({what for name in extra.split(",") for what in _with_inner(name)})
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "install"]
    else:  # an environment made by uv
        command = ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*command, *arguments])


def checkout() -> Path | None:
    """The folder of the source tree that this package runs from; None for an installed wheel."""
    root = Path(__file__).resolve().parents[1]
    project = root / "pyproject.toml"
    try:
        text = project.read_text(encoding="utf-8")
    except OSError:
        return None
    return root if f'name = "{DISTRIBUTION}"' in text else None


def requirements(extra: str) -> list[Requirement]:
    """What the installed metadata list for an extra, without what another extra brings.

    Parameters
    ----------
    extra : str
        As in :func:`missing_package`; empty for what every installation has.

    Raises
    ------
    ToolError
        If there is no such extra, or no metadata.
    """
    return [
        requirement
        for requirement in _listed(extra)
        if requirement.name != DISTRIBUTION and _here(requirement, extra)
    ]


def _here(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement is meant for this system."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _listed(extra: str) -> list[Requirement]:
    """The lines of the metadata that belong to an extra and to no other."""
    try:
        distribution = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        raise ToolError(
            f"{Path(__file__).parent} is neither in a checkout of the project nor an installed "
            f"{DISTRIBUTION} with metadata"
        ) from None
    if extra and extra not in (distribution.metadata.get_all("Provides-Extra") or []):
        raise ToolError(f"{DISTRIBUTION} has no extra {extra!r}")
    found = []
    for line in distribution.requires or []:
        requirement = Requirement(line)
        for_extra = requirement.marker is not None and "extra" in str(requirement.marker)
        if for_extra == bool(extra) and _here(requirement, extra):
            found.append(requirement)
    return found


def _with_inner(extra: str) -> list[str]:
    """The requirements of an extra and of the extras that it includes, as `pip` takes them."""
    found = []
    for requirement in _listed(extra):
        if requirement.name == DISTRIBUTION:
            for inner in sorted(requirement.extras):
                found += _with_inner(inner)
        else:
            requirement.marker = None
            found.append(str(requirement))
    return found
