"""Every error has its exit code, its words, and never a traceback."""

import re
from pathlib import Path

import pytest

from domain.errors import (
    Conflict,
    Defect,
    Malformed,
    NotFound,
    Rejection,
    StorageFull,
    TimedOut,
    TooLarge,
    Unavailable,
)
from runtime.cli.exits import Exit, Usage, exit_of, exit_of_run, main_cause
from runtime.cli.guard import Guard, tell
from tests.cli.consoles import plain_console, printed, said


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Usage("x"), 2),
        (Malformed("x"), 2),
        (TooLarge("x"), 2),
        (NotFound("x"), 3),
        (Conflict("run/1", 2), 5),
        (TimedOut("x"), 6),
        (Unavailable("x"), 7),
        (StorageFull("x"), 7),
        (Defect("x"), 70),
        (ValueError("x"), 70),
        (KeyboardInterrupt(), 130),
        (Rejection("invalid_pipeline", "x"), 2),
        (Rejection("malformed", "x"), 2),
        (Rejection("invalid_params", "x"), 2),
        (Rejection("pipeline_not_found", "x"), 3),
        (Rejection("run_not_found", "x"), 3),
        (Rejection("not_found", "x"), 3),
        (Rejection("pipeline_paused", "x"), 4),
        (Rejection("anything_else", "x"), 4),
        (Rejection("revision_conflict", "x"), 5),
        (Rejection("command_id_reused", "x"), 5),
        (Rejection("timeout", "x"), 6),
        (Rejection("unavailable", "x"), 7),
        (Rejection("storage_full", "x"), 7),
    ],
)
def test_the_table_of_exit_codes(error: BaseException, code: int) -> None:
    assert exit_of(error) == code


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 1), ("cancelled", 1)])
def test_a_run_that_did_not_complete_is_a_failure(status: str, code: int) -> None:
    assert exit_of_run(status) == code


def test_of_a_group_the_defect_counts_else_the_first() -> None:
    refused, gone, wrong = NotFound("a"), Unavailable("b"), KeyError("c")
    assert main_cause(BaseExceptionGroup("g", [refused, gone])) is refused
    inner = BaseExceptionGroup("h", [wrong])
    assert main_cause(BaseExceptionGroup("g", [refused, inner])) is wrong


def _guarded(error: BaseException) -> tuple[int, str]:
    console = plain_console()
    guard = Guard(console, ["run", "x.yaml"])
    with guard:
        raise error
    assert printed(console) == ""
    return guard.code, said(console)


def test_an_error_is_told_with_what_to_do() -> None:
    told = _guarded(NotFound("there is no run yet", hint="start one"))
    assert told == (3, "Error: there is no run yet\n  → start one\n")


def test_a_malformed_answer_names_the_field() -> None:
    assert (
        _guarded(Malformed("is wrong", path="steps[1].id"))[1] == "Error: steps[1].id: is wrong\n"
    )


def test_each_mistake_in_a_file_has_its_line() -> None:
    problems = [
        {
            "path": "steps.a",
            "message": "has no input",
            "hint": "add one",
            "place": "f.yaml:3 steps.a",
        },
        {"path": "steps.b", "message": "is a cycle", "hint": ""},
    ]
    rejection = Rejection("invalid_pipeline", "2 mistakes", {"problems": problems})
    code, told = _guarded(rejection)
    assert code == 2
    assert told == (
        "Error: f.yaml:3 steps.a: has no input\n  → add one\nError: steps.b: is a cycle\n"
    )


def test_an_interrupt_is_no_error() -> None:
    assert _guarded(KeyboardInterrupt()) == (130, "Interrupted.\n")


def test_a_defect_leaves_a_report() -> None:
    code, told = _guarded(ZeroDivisionError("division by zero"))
    assert code == Exit.DEFECT
    assert "headwater has made a mistake of its own: ZeroDivisionError: division by zero" in told
    assert "Traceback" not in told
    path = re.search(r"report it with (\S+)", told)
    assert path is not None
    report = Path(path[1])
    text = report.read_text()
    report.unlink()
    assert "headwater run x.yaml" in text
    assert "Traceback" in text


def test_a_hint_may_come_with_a_rejection() -> None:
    console = plain_console()
    tell(console, Rejection("x", "no", {"hint": "do that"}))
    assert said(console) == "Error: no\n  → do that\n"
