"""Where the synthesis tools are: beside this Python, as pip installs them, or on PATH."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from vta.boards.synthesis.parts import SynthesisError
from vta.cache import prepare_yowasp
from vta.extras import install_command

__all__ = ["tool"]


def tool(name: str, extra: str = "synth") -> str:
    """The path of a tool that comes with an extra of this package.

    Raises
    ------
    SynthesisError
        If it is neither in the environment of this Python nor on PATH.
    ToolError
        If it cannot keep what it makes at its first call.
    """
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise SynthesisError(
            f"{name} is neither beside {sys.executable} nor on PATH; "
            f"it comes with: {install_command(extra)}"
        )
    if name.startswith("yowasp-"):
        prepare_yowasp()
    return found
