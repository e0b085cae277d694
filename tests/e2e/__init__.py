"""The real command with everything behind it."""
