"""Differential fuzzing: random programs, comparison of two machines, shrinking, coverage."""
