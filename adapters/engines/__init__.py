"""What computes: DuckDB confined to a step's files, Python steps, and the binding of both."""
