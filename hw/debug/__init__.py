"""Probes into the design, for proofs and coverage; never part of the synthesised machine."""
