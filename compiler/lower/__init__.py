"""From a schedule to a loop nest: bounds, inlining, tensorization."""
