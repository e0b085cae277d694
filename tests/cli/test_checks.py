"""What rules found, as people see it: beside a run, and as a trend over runs."""

from typing import Any

import pytest

from runtime.cli import words
from runtime.cli.check_view import result_lines, trend, trend_columns
from runtime.cli.console import Console
from runtime.cli.run_view import summary
from runtime.cli.table import render
from tests.cli import samples
from tests.cli.consoles import plain_console, terminal_console
from tests.cli.golden import assert_golden


def found(failing: int | None = 0, rows: int = 1000, **more: Any) -> dict[str, Any]:
    return {
        "name": "unique(id)",
        "rule": "unique(id)",
        "severity": "error",
        "passed": not failing,
        "checked_rows": rows,
        "failing_rows": failing,
        "share": failing / rows if failing is not None else None,
        "tolerance": "",
        "observed": "",
        **more,
    }


RESULTS = [
    found(),
    found(12, name="not_null(email)", severity="warn"),
    found(3, name="known_carriers", tolerance="0.5%", passed=True),
    found(None, name="freshness(at: 24h)", passed=False, observed="the newest is 2d 3h old"),
]


def test_the_results_of_a_run() -> None:
    steps = [
        samples.step("raw", "ingest", checks=RESULTS[:1]),
        samples.step("flown", "clean", checks=RESULTS[1:]),
    ]
    text = "\n".join(summary(plain_console(), samples.run("failed", steps), rules=True))
    assert_golden("run-checks", text)


def test_of_very_many_results_those_that_fail_are_kept() -> None:
    steps = [samples.step("raw", "ingest", checks=[found()] * 100 + [found(1, name="last")])]
    lines = result_lines(plain_console(), steps)
    assert "last" in lines[1]
    assert lines[-1] == "and 61 more; all with --json"


def test_a_run_without_rules_has_no_such_table() -> None:
    assert result_lines(plain_console(), [samples.step("raw", "ingest")]) == []


def trends() -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = [
        {"pipeline": "flights", "step": "flown", "recorded_at": "2026-11-23T10:15:29Z", **one}
        for one in RESULTS
    ]
    history: list[list[int | None]] = [[0, 0, 0], [12, 4, 0, 1], [3] * 10, [None, None]]
    for item, counts in zip(items, history, strict=True):
        item["runs"] = [found(one, passed=one == 0) for one in counts]
    return items


def test_rules_with_their_trends() -> None:
    items = trends()
    assert_golden("checks", "\n".join(render(plain_console(), trend_columns(items), items)))


def test_a_narrow_terminal_keeps_the_trend(monkeypatch: pytest.MonkeyPatch) -> None:
    items = trends()
    wide = terminal_console(monkeypatch, 72)
    monkeypatch.setenv("NO_COLOR", "1")
    lines = render(Console(out=wide.out, err=wide.err), trend_columns(items), items)
    assert_golden("checks-narrow", "\n".join(lines))


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([], ""),
        ([0], "·"),
        ([5], "█"),
        ([8, 4, 0, 1], "▁·▄█"),
        ([None, None], "··"),
    ],
)
def test_a_trend_goes_from_the_oldest_to_the_newest(counts: list[int | None], text: str) -> None:
    told = trend([found(one) for one in counts])
    assert len(told) == len(text)
    assert told.replace("▅", "▄").replace("▂", "▁") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1e-9, "< 0.01 %"),
        (0.0014, "0.14 %"),
        (0.125, "12.5 %"),
        (0.99999, "> 99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(share: float, text: str) -> None:
    assert words.share(share) == text
