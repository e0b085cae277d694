"""Backups as folders: made beside their place and renamed, read with every byte checked."""
