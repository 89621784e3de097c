"""Schedules: the stages of a computation and the primitives that change their loops."""
