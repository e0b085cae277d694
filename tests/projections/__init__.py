"""The read side: folds, queries, replay and verification."""
