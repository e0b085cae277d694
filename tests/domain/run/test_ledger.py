"""Whether rows balance."""

import pytest

from domain.run.ledger import InputLedger, LedgerStatus, status_of


def entry(rows_in: int | None, *parts: int | None) -> InputLedger:
    reached, filtered, unmatched, quarantined = parts
    return InputLedger(
        dataset="flights.raw",
        fingerprint="f" * 64,
        rows_in=rows_in,
        reached=reached,
        filtered=filtered,
        unmatched=unmatched,
        quarantined=quarantined,
    )


BALANCED = entry(10, 4, 3, 2, 1)
LOST = entry(10, 4, 3, 2, 0)
UNCOUNTED = entry(10, None, None, None, None)


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ((), "none"),
        ((BALANCED,), "balanced"),
        ((BALANCED, BALANCED), "balanced"),
        ((LOST,), "unbalanced"),
        ((UNCOUNTED,), "unproven"),
        ((entry(None, 4, 3, 2, 1),), "unproven"),
        ((entry(10, 10, 0, 0, None),), "unproven"),
        ((BALANCED, UNCOUNTED), "unproven"),
        ((UNCOUNTED, LOST), "unbalanced"),
        ((LOST, UNCOUNTED), "unbalanced"),
    ],
)
def test_the_worst_input_gives_the_verdict(
    inputs: tuple[InputLedger, ...], status: LedgerStatus
) -> None:
    assert status_of(inputs) == status
