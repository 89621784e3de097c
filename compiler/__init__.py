"""From a scheduled tensor program to the instruction stream; no device is known here."""
