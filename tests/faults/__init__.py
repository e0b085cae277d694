"""Processes killed, files taken away, disks filled."""
