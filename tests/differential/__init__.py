"""Our verdicts against those of others on the same input."""
