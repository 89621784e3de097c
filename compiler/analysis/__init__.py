"""Analyses that passes share: loop nests, bounds, transfers, ALU operations, data races."""
