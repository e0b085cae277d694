"""When a failed attempt is tried again."""

from datetime import datetime, timedelta

from msgspec import Struct


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """Capped exponential backoff. `attempts` counts the first one too; times are seconds."""

    attempts: int = 1
    initial: float = 1.0
    max: float = 60.0
    multiplier: float = 2.0


def delay(policy: RetryPolicy, attempt: int) -> float:
    """Seconds to wait after the failed `attempt` (1, 2 …) before the next one."""
    grown = policy.initial
    for _ in range(attempt - 1):
        grown *= policy.multiplier
        if grown >= policy.max:
            break
    return min(grown, policy.max)


def due(policy: RetryPolicy, attempt: int, at: datetime) -> datetime | None:
    """When the attempt after `attempt` may start, or None if it was the last."""
    if attempt >= policy.attempts:
        return None
    return at + timedelta(seconds=delay(policy, attempt))
