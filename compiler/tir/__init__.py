"""The intermediate representation: statements, visitors, the printer, and index arithmetic."""
