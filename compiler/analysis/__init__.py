"""What several passes need to know of a program: loop nests, bounds, conflicts."""
