"""The words are tested too: what the documents say can be typed, and is there."""
