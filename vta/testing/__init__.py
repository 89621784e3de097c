"""What the tutorials import for running on simulators."""
