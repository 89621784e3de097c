"""Memories and stream buffers: leaf blocks without a configuration."""
