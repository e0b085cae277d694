"""Backoff."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.run.retry import RetryPolicy, delay, due
from tests.domain.specification import NOON

policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 100),
    initial=st.floats(0, 3_600),
    max=st.floats(0, 86_400),
    multiplier=st.floats(1, 1e6),
)


def test_delays_grow_up_to_their_cap() -> None:
    policy = RetryPolicy(attempts=6, initial=1, max=10, multiplier=2)
    assert [delay(policy, attempt) for attempt in range(1, 6)] == [1, 2, 4, 8, 10]
    assert due(policy, 3, NOON) == NOON + timedelta(seconds=4)


def test_one_attempt_is_the_default() -> None:
    assert due(RetryPolicy(), 1, NOON) is None


@given(policies, st.integers(1, 100))
def test_delays_never_shrink_nor_pass_their_cap(policy: RetryPolicy, attempt: int) -> None:
    assert 0 <= delay(policy, attempt) <= delay(policy, attempt + 1) <= policy.max


@given(policies, st.integers(1, 100))
def test_there_are_as_many_attempts_as_the_policy_says(policy: RetryPolicy, attempt: int) -> None:
    assert (due(policy, attempt, NOON) is not None) == (attempt < policy.attempts)
