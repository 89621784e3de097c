"""Devices, buffers, compiled modules and sessions: running a program somewhere."""
