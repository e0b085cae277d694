"""The roles that a service is made of. One process has all of them, or each has some of its own."""

from collections.abc import Sequence
from typing import Literal, get_args

Role = Literal["commands", "relay", "projections", "policies", "steps"]

ROLES: Sequence[Role] = get_args(Role)
"""In the order of the way that an event takes."""
