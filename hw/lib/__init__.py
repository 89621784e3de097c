"""Memories and stream buffers that know nothing of the machine."""
