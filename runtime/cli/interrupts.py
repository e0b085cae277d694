"""Ctrl-C, when somebody means it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from runtime.cli.console import Console
from runtime.cli.exits import Exit


def stop_at_once(console: Console) -> NoReturn:
    """End this process now. Children end with it, and whatever was open is taken up later."""
    console.note("Stopped.")
    console.out.flush()
    os._exit(Exit.INTERRUPTED)


@contextmanager
def second_interrupt_stops(console: Console) -> Iterator[None]:
    """While something is being wound up, one more Ctrl-C ends it at once."""
    before = signal.signal(signal.SIGINT, lambda *_: stop_at_once(console))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
