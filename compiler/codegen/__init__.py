"""Code generation: from the lowered program to instructions, micro-ops and relocations."""
