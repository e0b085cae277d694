"""The write side over memory adapters."""
