"""`python -m runtime` is `headwater`."""

from runtime.cli import main

main()
