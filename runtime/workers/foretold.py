"""Work that a process has begun with before its lease is stored.

A run's first step is decided together with its beginning. While that is on its way to the disk, a
process can begin; where it is not stored in the end, or is stored otherwise, what was begun is
ended. It is of a kind that changes nothing outside, so nobody has seen anything of it.
"""

from uuid import UUID

from commands.steps.work import StepWork
from runtime.workers.job import Job


class Foretold:
    """Jobs by the commands that will have given them."""

    def __init__(self) -> None:
        self._jobs: dict[UUID, Job] = {}

    def keep(self, cause: UUID, job: Job) -> Job | None:
        """Keep a job that was begun; returns the one to be ended in its place."""
        before = self._jobs.pop(cause, None)
        self._jobs[cause] = job
        return before

    def settle(self, cause: UUID, given: StepWork | None) -> tuple[Job | None, Job | None]:
        """The job with just the work that came, and the one with other work, to be ended."""
        job = self._jobs.pop(cause, None)
        if job is not None and job.given == (cause, given):
            return job, None
        return None, job
