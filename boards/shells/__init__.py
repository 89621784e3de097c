"""What surrounds the core on a board: its clock, its memory and its way to the host."""
