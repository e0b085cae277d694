"""What a worker does with one task, kind by kind."""
