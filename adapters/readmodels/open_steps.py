"""The dispatch policy's face of the `dispatch` view."""

from collections.abc import Sequence

import msgspec

from commands.ports import OpenStep, OpenSteps
from projections.ports import ReadModels, Row


class ViewOpenSteps(OpenSteps):
    """Reads open steps from the read models."""

    def __init__(self, read_models: ReadModels) -> None:
        self._read_models = read_models

    async def open(self, after: tuple[str, str] | None, limit: int) -> Sequence[OpenStep]:
        run, step = after or ("", "")
        rows = await self._read_models.query(
            "dispatch.open", {"run": run, "step": step, "limit": limit}
        )
        return [_open_step(row) for row in rows]


def _open_step(row: Row) -> OpenStep:
    return msgspec.convert(
        {
            "task": {name: row[name] for name in _TASK if row[name] is not None},
            "due": row["due"],
            "in_work": bool(row["in_work"]),
        },
        OpenStep,
    )


_TASK = ("run", "step", "attempt", "engine", "traceparent", "correlation_id")
