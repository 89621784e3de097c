"""Memories, stream buffers and counters: leaf blocks without a configuration."""
