"""Keeps a view going."""

from projections.worker import ProjectionWorker
from runtime.supervisor import Part, Signals

step_seconds = 1.0
"""How long a silent feed is waited for before the store is asked."""


class ProjectionPart(Part):
    """Catches up, then follows the feed; stays halted where the view is."""

    def __init__(self, worker: ProjectionWorker) -> None:
        self._worker = worker

    @property
    def name(self) -> str:
        """For reports."""
        return f"projection {self._worker.name}"

    async def run(self, signals: Signals) -> None:
        """Raises `Unavailable`, `StorageFull`; the next life goes on from the checkpoint."""
        await self._worker.start()
        with signals.interruptible():
            while not signals.is_draining:
                if self._worker.halted:
                    signals.halt(self._worker.halted)
                else:
                    signals.ready()
                await self._worker.step(step_seconds)
