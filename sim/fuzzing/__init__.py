"""Differential fuzzing: random programs, their comparison on two machines, shrinking, and coverage."""
