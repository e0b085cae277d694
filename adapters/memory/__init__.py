"""Every port in memory: for trials without a disk, and for the simulation on virtual time.

Only anyio, no threads and no clock of its own, so that it runs under any event loop.
"""
