"""From the lowered program to instructions, micro-ops and relocations."""
