"""Figures beside plain baselines, measured in one run: `make bench`."""
