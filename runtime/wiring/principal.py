"""Who asks from this terminal."""

import os
import socket
from getpass import getuser


def principal() -> str:
    """Such as `cli:ada@host`."""
    try:
        name = getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        name = str(os.getuid())
    return f"cli:{name}@{socket.gethostname()}"
