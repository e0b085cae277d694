"""How a service is, for whoever asks: one answer from all of its parts."""

from collections.abc import Sequence

from msgspec import Struct

from runtime.supervisor import PartReport, Supervisor

_WELL = frozenset({"ready", "draining", "stopped"})


class Health(Struct, frozen=True, kw_only=True):
    """A service's health as `services` shows it."""

    healthy: bool
    parts: Sequence[PartReport]
    crashes: Sequence[str]
    """The last crashes, newest last."""


def health_of(supervisor: Supervisor) -> Health:
    """Healthy is a service all of whose parts do their work."""
    parts = supervisor.report()
    return Health(
        healthy=all(part.state in _WELL for part in parts),
        parts=parts,
        crashes=supervisor.crashes,
    )
