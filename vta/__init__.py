"""VTA: the Versatile Tensor Accelerator, from a scheduled tensor program to simulated hardware."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vta import ops, rpc, te, top, topi
    from vta.build_module import build, build_config, lower
    from vta.config import VTAConfig
    from vta.environment import Environment, get_env
    from vta.networks import compile_model, load
    from vta.profiling import profile
    from vta.rpc import program_fpga, reconfig_runtime

__all__ = [
    "Environment",
    "VTAConfig",
    "__version__",
    "build",
    "build_config",
    "compile_model",
    "get_env",
    "load",
    "lower",
    "ops",
    "profile",
    "program_fpga",
    "reconfig_runtime",
    "rpc",
    "te",
    "top",
    "topi",
]
__version__ = "0.1.0"

# Imported on first use, so that `import vta` costs nothing and vta.isa needs no compiler.
_HOME = {
    "Environment": "vta.environment",
    "VTAConfig": "vta.config",
    "build": "vta.build_module",
    "build_config": "vta.build_module",
    "compile_model": "vta.networks",
    "load": "vta.networks",
    "get_env": "vta.environment",
    "lower": "vta.build_module",
    "profile": "vta.profiling",
    "program_fpga": "vta.rpc",
    "reconfig_runtime": "vta.rpc",
}
_MODULES = ("ops", "rpc", "te", "top", "topi")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = import_module(f"vta.{name}")
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'vta' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
