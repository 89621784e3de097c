"""Devices, buffers, compiled modules and sessions: running a program somewhere."""

from vta.runtime.buffer import DeviceArray, array, empty
from vta.runtime.module import CompiledModule, load_module
from vta.runtime.session import LocalSession, Session

__all__ = [
    "CompiledModule",
    "DeviceArray",
    "LocalSession",
    "Session",
    "array",
    "empty",
    "load_module",
]
