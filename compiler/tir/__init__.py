"""The loop-nest program: statements, visitors, the printer, and index arithmetic."""
