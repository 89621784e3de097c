"""Instruction fetch, decode, and the token queues between the modules."""
