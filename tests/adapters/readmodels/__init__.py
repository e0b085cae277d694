"""What read models do alike on every database, and what one of them does beyond the contract."""
