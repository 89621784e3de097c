"""Rows of the registry, a module for each kind of operator."""
