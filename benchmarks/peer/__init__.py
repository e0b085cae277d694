"""Programs that run in the environments of others, with what is there and the standard library."""
