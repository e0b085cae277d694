"""Where views lie: tables on SQLite, and folds of the store beside them."""
