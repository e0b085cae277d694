"""Binding: everything that can be found wrong with a definition before it runs."""
