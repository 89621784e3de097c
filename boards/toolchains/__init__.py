"""The vendors' and the open toolchains: projects, checks before they run, and their reports."""
