"""Devices, buffers, compiled modules and sessions: running a program somewhere."""

from .buffer import DeviceArray, array, empty
from .module import CompiledModule, load_module
from .session import LocalSession, Session

__all__ = [
    "CompiledModule",
    "DeviceArray",
    "LocalSession",
    "Session",
    "array",
    "empty",
    "load_module",
]
