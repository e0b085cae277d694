"""The write side: commands come in, decisions are made, events are appended.

It awaits ports and does no I/O of its own; `adapters` implement the ports, `runtime` wires them.
"""
