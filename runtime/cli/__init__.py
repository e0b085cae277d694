"""The command line: `headwater`."""

from runtime.cli.app import main

__all__ = ["main"]
