"""Profiles: where the cycles of a run went, on the timing model and on the simulated RTL
(docs/tools/profile.md)."""

from vta.profiling.layers import Layer
from vta.profiling.recorder import profile
from vta.profiling.results import Profile
from vta.profiling.run import TARGETS, profile_network, profile_program, profile_programs

__all__ = [
    "TARGETS",
    "Layer",
    "Profile",
    "profile",
    "profile_network",
    "profile_program",
    "profile_programs",
]
