"""What SQL says, read from its text by sqlglot; nothing here runs it."""
