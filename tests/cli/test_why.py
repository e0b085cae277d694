"""What `headwater why` says of single events."""

from runtime.cli.why import says


def test_a_failure_is_told_by_the_first_line_of_its_message() -> None:
    error = {
        "code": "rows_lost",
        "message": "4 of 7 rows are lost\ntail: N4 2 of 2",
    }
    event = {
        "tag": "run.step_failed.v1",
        "data": {"step": "made", "attempt": 1, "error": error},
    }
    assert says(event) == "made failed, attempt 1: 4 of 7 rows are lost"
