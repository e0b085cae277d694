"""The read side: events come in, tables come out. It does no I/O of its own."""
