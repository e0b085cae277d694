"""The fault campaign: load, faults drawn from a seed, and eight invariants afterwards."""
