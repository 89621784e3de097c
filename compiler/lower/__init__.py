"""Lowering from a schedule to a loop nest: bound inference, inlining, tensorization."""
