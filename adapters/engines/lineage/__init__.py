"""Lineage of columns."""
