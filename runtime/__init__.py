"""Processes: what runs, how it is wired, started and stopped."""
