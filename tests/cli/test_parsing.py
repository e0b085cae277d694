"""Command lines become typed commands, or a sentence about what is wrong with them."""

from importlib import import_module
from typing import Annotated, Literal, get_args, get_origin

import pytest
from msgspec import Meta

from runtime.cli.catalog import ENTRIES
from runtime.cli.exits import Usage
from runtime.cli.parsing import Argument, Command, Field, Listing, Option, fields_of, parse


class Fetch(Listing):
    """Fetch things."""

    what: Annotated[str, Argument("WHAT", "which")]
    more: Annotated[tuple[str, ...], Argument("MORE", "others")] = ()
    limit: Annotated[int, Meta(ge=1, le=9), Option("so many", "N", short="n")] = 3
    tag: Annotated[tuple[str, ...], Option("tags", "TAG", short="t")] = ()
    from_: Annotated[str, Option("where", "PLACE", name="from")] = ""
    mood: Annotated[Literal["calm", "busy", ""], Option("how", "MOOD")] = ""
    dry_run: Annotated[bool, Option("only look")] = False
    depth: Annotated[Annotated[int, Meta(ge=1)] | None, Option("how deep", "N")] = None


def _fetch(*words: str) -> Fetch:
    command = parse(Fetch, words)
    assert isinstance(command, Fetch)
    return command


def test_arguments_and_options_in_any_order() -> None:
    command = _fetch("--limit", "5", "a", "-t", "x", "b", "--tag=y", "--dry-run", "c")
    assert (command.what, command.more) == ("a", ("b", "c"))
    assert (command.limit, command.tag, command.dry_run) == (5, ("x", "y"), True)


def test_defaults() -> None:
    command = _fetch("a")
    assert (command.limit, command.tag, command.depth, command.form) == (3, (), None, "table")


@pytest.mark.parametrize("words", [["-n5"], ["-n", "5"], ["-n=5"], ["--limit=5"]])
def test_ways_to_write_an_option(words: list[str]) -> None:
    assert _fetch("a", *words).limit == 5


def test_an_option_with_another_name() -> None:
    assert _fetch("a", "--from", "here").from_ == "here"


def test_behind_two_dashes_everything_is_an_argument() -> None:
    assert _fetch("--", "--limit", "-x").more == ("-x",)


def test_a_value_may_start_with_a_dash() -> None:
    assert _fetch("a", "--from", "-here").from_ == "-here"
    assert _fetch("-").what == "-"


@pytest.mark.parametrize(
    ("words", "form"),
    [([], "table"), (["--json"], "json"), (["-o", "csv"], "csv"), (["-ojsonl"], "jsonl")],
)
def test_the_form_of_a_list(words: list[str], form: str) -> None:
    assert _fetch("a", *words).form == form


@pytest.mark.parametrize(
    ("words", "told", "hint"),
    [
        ([], "WHAT is missing", ""),
        (["a", "--limt", "3"], "there is no option --limt", "did you mean --limit?"),
        (["a", "-z"], "there is no option -z", ""),
        (["a", "--limit"], "--limit needs N", ""),
        (["a", "--limit", "--json"], "--limit needs N", ""),
        (["a", "--limit", "x"], "--limit cannot be 'x': it must be a whole number", ""),
        (["a", "--limit", "0"], "--limit cannot be '0': it must be at least 1", ""),
        (["a", "--limit", "10"], "--limit cannot be '10': it must be at most 9", ""),
        (["a", "--depth", "x"], "--depth cannot be 'x': it must be a whole number", ""),
        (["a", "--limit", "1", "-n2"], "--limit is given twice", ""),
        (["a", "--mood", "wild"], "--mood cannot be 'wild': it is one of calm, busy", ""),
        (["a", "--dry-run=yes"], "--dry-run takes no value", ""),
    ],
)
def test_what_is_wrong_is_said(words: list[str], told: str, hint: str) -> None:
    with pytest.raises(Usage) as refused:
        parse(Fetch, words)
    assert (refused.value.message, refused.value.hint) == (told, hint)


def test_one_argument_too_many() -> None:
    class Single(Listing):
        """One."""

        what: Annotated[str, Argument("WHAT", "which")] = ""

    with pytest.raises(Usage, match="'b' is one argument too many"):
        parse(Single, ["a", "b"])


@pytest.mark.parametrize("name", ENTRIES)
def test_every_option_can_be_given(name: str) -> None:
    module, _, kind_name = ENTRIES[name].place.partition(":")
    kind: type[Command] = getattr(import_module(f"runtime.cli.{module}"), kind_name)
    fields = fields_of(kind)
    needed = [
        (get_args(field.type) or ("word",))[0]
        for field in fields
        if isinstance(field.spec, Argument) and field.required
    ]
    for field in fields:
        if isinstance(field.spec, Argument):
            continue
        value = next(filter(None, get_args(field.type)), "1") if _is_choice(field) else "1"
        words = [field.option] if field.is_flag else [field.option, value]
        command = parse(kind, [*map(str, needed), *words])
        assert getattr(command, field.name) not in (None, "", False, ())


def _is_choice(field: Field) -> bool:
    return get_origin(field.type) is Literal
