"""Broken input by the thousand: whatever comes in, the answer is words with a place."""
