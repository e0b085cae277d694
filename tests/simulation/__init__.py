"""The whole core on memory adapters and virtual time, under faults that a seed decides.

    clients ─┐           ┌─ core: actors, relay, views, policy ─┐
             ├─ wire ────┤        (dies and comes back)         ├─ store, bus, views
    workers ─┘           └──────────────────────────────────────┘  (the store alone is believed)

After each world has calmed down, `invariants` holds everything against the events in the store.
"""
