"""How a service is, for whoever asks: one answer from all of its parts, or from some."""

from collections.abc import Collection, Sequence

from msgspec import Struct

from runtime.supervisor import PartReport, Supervisor

_WELL = frozenset({"ready", "draining", "stopped"})


class Health(Struct, frozen=True, kw_only=True):
    """A service's health as `services` shows it."""

    parts: Sequence[PartReport]
    crashes: Sequence[str]
    """The last crashes, newest last."""

    @property
    def reason(self) -> str:
        """Why it is not healthy; empty where all of its parts do their work."""
        return "; ".join(
            f"{part.name} {part.state}" + (f": {part.reason}" if part.reason else "")
            for part in self.parts
            if part.state not in _WELL
        )

    @property
    def healthy(self) -> bool:
        """Whether all of its parts do their work."""
        return not self.reason


def health_of(supervisor: Supervisor, parts: Collection[str] = ()) -> Health:
    """The health of all parts, or of those that are named."""
    reports = [one for one in supervisor.report() if not parts or one.name in parts]
    return Health(parts=reports, crashes=supervisor.crashes)
