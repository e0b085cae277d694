"""Runs by the names that people give them."""

from uuid import UUID

from domain.errors import NotFound
from runtime.cli.exits import Usage
from runtime.session import Session

LAST = "last"
"""The newest run."""


async def resolve_run(session: Session, text: str) -> str:
    """A run's id; the newest run's for no text, or `last`. Raises `NotFound`, `Usage`."""
    if text not in ("", LAST):
        try:
            return str(UUID(text))
        except ValueError:
            hint = "`headwater runs` lists them"
            raise Usage(f"{text!r} is not the id of a run", hint=hint) from None
    newest = await session.query("monitoring.runs", {"limit": 1})
    if not newest["items"]:
        raise NotFound("there is no run yet", hint="start one: headwater run FILE")
    return str(newest["items"][0]["run"])
