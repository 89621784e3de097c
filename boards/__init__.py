"""One file a board: part, clocks, resources and the shell around the core."""
