"""Actors, supervisors, workers, settings, the data directory."""
