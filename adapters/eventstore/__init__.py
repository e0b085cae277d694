"""The store of events on SQLite: the `eventsourcing` library's table, written in groups."""
