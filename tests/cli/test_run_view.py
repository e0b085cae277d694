"""A run as people see it: while it goes, and when it has ended."""

import re
import time
from typing import Any

import pytest

from runtime.cli import words
from runtime.cli.console import Console
from runtime.cli.live import LineView, LiveView, view_for
from runtime.cli.run_view import summary
from tests.cli import samples
from tests.cli.consoles import plain_console, said, terminal_console
from tests.cli.golden import assert_golden


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def _text(console: Console, run: dict[str, Any]) -> str:
    return "\n".join(summary(console, run))


def test_a_completed_run() -> None:
    assert_golden("run-completed", _text(plain_console(), samples.completed()))


def test_a_failed_run() -> None:
    assert_golden("run-failed", _text(plain_console(), samples.failed()))


def test_a_run_in_which_rows_found_no_match() -> None:
    assert_golden("run-lossy", _text(plain_console(), samples.lossy()))


def test_a_run_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    run = samples.completed()
    run["steps"][2]["id"] = "flights_that_have_flown_and_have_landed_somewhere_else"
    console = terminal_console(monkeypatch, 72)
    monkeypatch.setenv("NO_COLOR", "1")
    bare = Console(out=console.out, err=console.err)
    assert_golden("run-narrow", _text(bare, run))


def _going(done: int, total: int = 3) -> dict[str, Any]:
    steps = [
        samples.step(f"s{n}", "clean", "succeeded", rows_out=1000 * n, seconds=0.5)
        if n < done
        else samples.step(f"s{n}", "clean", "running" if n == done else "waiting")
        for n in range(total)
    ]
    status = "completed" if done >= total else "running"
    return samples.run(status, steps)


def test_elsewhere_each_change_is_a_line() -> None:
    console = plain_console()
    view = view_for(console)
    assert isinstance(view, LineView)
    for done in range(4):
        view.show(_going(done))
        view.show(_going(done))
        view.tick()
    view.say("Something else.")
    view.close()
    assert_golden("live-lines", said(console))


def test_quiet_is_quiet() -> None:
    console = plain_console(quiet=True)
    view = view_for(console)
    view.show(_going(1))
    view.close()
    assert said(console) == ""


def test_a_picture_is_redrawn_in_its_place_and_cleared_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console = terminal_console(monkeypatch, 80)
    view = view_for(console)
    assert isinstance(view, LiveView)
    view.show(_going(0))
    view.tick()
    view.say("Cancelling.")
    view.close()
    text = said(console)
    assert text.startswith("\x1b[?25l")
    assert "\x1b[5F" in text, "back over the five lines of the picture before"
    assert "0 of 3 steps" in text
    assert text.endswith("\x1b[J\x1b[?25hCancelling.\n")


def test_a_long_run_shows_what_tells_most(monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal_console(monkeypatch, 80, lines=12)
    view = LiveView(console)
    run = _going(150, 200)
    run["steps"][3]["status"] = "failed"
    view.show(run)
    drawn = said(console)
    assert "s150" in drawn
    assert "s3 " in drawn
    assert "s149" in drawn
    assert "s151" not in drawn
    assert "… and 192 steps" in drawn
    assert drawn.count("\n") <= 12


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_no_line_of_a_picture_is_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    console = terminal_console(monkeypatch, columns)
    view = LiveView(console)
    run = samples.completed()
    run["status"] = "running"
    run["steps"][2]["id"] = "a_step_with_a_name_that_is_rather_long_indeed"
    view.show(run)
    view.say("Something that is said while the run is going on, and takes more than a line.")
    for line in said(console).replace("\x1b[K", "").splitlines():
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)
        assert words.width(shown) <= columns, shown


def _broken(rule: str, rows: int, name: str = "") -> dict[str, Any]:
    found = {"checked_rows": 9, "failing_rows": rows, "severity": "warn", "passed": False}
    return {"name": name or rule, "rule": rule, **found}


def test_a_check_that_a_warning_tells_of_is_told_once() -> None:
    checks = [
        _broken("unique(id)", 1),
        _broken("not_null(id)", 2, "ids"),
        _broken("required(id)", 3),
        _broken("range(id: 1…2)", 4),
    ]
    steps = [samples.step("held", "transform", checks=checks)]
    warnings = [
        "held: check unique(id): 1 row breaks it",
        "held: check ids (not_null(id)): 2 rows break it",
        "held: contract required(id): 3 rows break it (c.yaml:1)",
    ]
    told = _text(plain_console(), samples.run("completed", steps, warnings=warnings)).splitlines()
    assert [line for line in told if line.startswith("! ")] == [
        "! held: check range(id: 1…2) does not hold: 4 rows break it",
        *(f"! {warning}" for warning in warnings),
    ]


def test_rows_that_a_validation_set_apart_are_told_as_such() -> None:
    checks = [_broken("required(id)", 1), _broken("minimum(id: 1)", 2)]
    steps = [samples.step("valid", "validate", checks=checks, rows_quarantined=2)]
    warnings = ["valid: contract minimum(id: 1): 1 row breaks it (c.yaml:1)"]
    told = _text(plain_console(), samples.run("completed", steps, warnings=warnings))
    assert "! valid: 1 row set apart by required(id)" in told
    assert "does not hold" not in told
    assert told.count("minimum(id: 1)") == 1
