"""Open synthesis: Yosys, nextpnr, resources of a part, and estimated paths."""
