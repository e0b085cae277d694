"""The parts of a pipeline file, each decoded for itself so that all mistakes are told at once."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from domain.pipeline.demands import source_demands, step_demands
from domain.pipeline.later import later
from domain.pipeline.names import did_you_mean
from domain.pipeline.problems import Problem
from domain.pipeline.ruledemands import rule_demands
from domain.pipeline.rules import (
    CLEAN_RULES,
    QUALITY_RULES,
    CleanRule,
    CleanRules,
    QualityRule,
    QualityRules,
)
from domain.pipeline.shape import decode, joined, wanted
from domain.pipeline.sources import CsvSource, JsonlSource, ParquetSource, Source
from domain.pipeline.steps import Check, Clean, Ingest, Step, Store, Transform, Validate

SOURCES: dict[str, type[Source]] = {
    "csv": CsvSource,
    "jsonl": JsonlSource,
    "parquet": ParquetSource,
}
STEPS: dict[str, type[Step]] = {
    "ingest": Ingest,
    "validate": Validate,
    "clean": Clean,
    "transform": Transform,
    "check": Check,
    "store": Store,
}
_words = "name severity where tolerance keep order_by on_error others to columns inputs"
RULE_WORDS = frozenset(_words.split())
"""Keys of a rule that are no rule themselves."""

ELSEWHERE = {
    "relationships": "references",
    "relationship": "references",
    "foreign_key": "references",
    "expression_is_true": "sql",
    "expression": "sql",
    "query": "sql",
    "accepted_range": "range",
    "between": "range",
    "regex": "pattern",
    "in_set": "accepted_values",
    "replace": "map",
    "strip": "trim",
    "fillna": "fill",
    "coalesce": "fill",
}
"""What other tools call a rule → its name here."""

Problems = list[Problem]
T = TypeVar("T", bound=Source | Step | CleanRule | QualityRule)
R = TypeVar("R", bound=CleanRule | QualityRule)


def decode_source(value: object, path: str, problems: Problems) -> Source | None:
    """A source, or None with what is wrong added to `problems`."""
    kind = _kind(value, SOURCES, path, "sources", problems)
    if kind is None:
        return None
    source, found = decode(value, kind, path, "sources")
    problems += found
    if source is not None:
        problems += source_demands(source, path)
    return source


def decode_step(value: object, path: str, problems: Problems) -> Step | None:
    """A step, or None with what is wrong added to `problems`."""
    before = len(problems)
    kind = _kind(value, STEPS, path, "steps", problems)
    if kind is None or not isinstance(value, dict):
        return None
    rest: dict[str, object] = dict(value)
    if "checks" in rest:
        rest["checks"] = _checks(rest["checks"], joined(path, "checks"), problems)
    if "rules" in rest and kind is Check:
        rest["rules"] = _checks(rest["rules"], joined(path, "rules"), problems)
    if "rules" in rest and kind is Clean:
        rest["rules"] = CleanRules(
            _rules(rest["rules"], CLEAN_RULES, joined(path, "rules"), problems)
        )
    step, found = decode(rest, kind, path, "steps")
    problems += found
    if step is not None and len(problems) == before:
        problems += step_demands(step, path)
    return step if len(problems) == before else None


def _checks(value: object, path: str, problems: Problems) -> QualityRules:
    return QualityRules(_rules(value, QUALITY_RULES, path, problems))


def _rules(
    value: object, kinds: Mapping[str, type[R]], path: str, problems: Problems
) -> Iterator[R]:
    if not isinstance(value, list | tuple):
        hint = "write each rule as a list's entry: - {not_null: [id]}"
        problems.append(Problem(path=path, message=wanted("a list", value), hint=hint))
        return
    for place, one in enumerate(value):
        kind = _rule_kind(one, kinds, joined(path, place), problems)
        if kind is None:
            continue
        rule, found = decode(one, kind, joined(path, place), "rules")
        problems += found
        if rule is not None:
            problems += rule_demands(rule, joined(path, place))
            yield rule


def _rule_kind(
    value: object, kinds: Mapping[str, type[T]], path: str, problems: Problems
) -> type[T] | None:
    if not isinstance(value, dict):
        problem = Problem(path=path, message=wanted("a map with one rule", value))
        problems.append(problem)
        return None
    found = [key for key in value if key in kinds]
    if len(found) == 1:
        return kinds[found[0]]
    if found:
        message = "two rules in one entry: " + ", ".join(f"`{key}`" for key in found)
        problems.append(Problem(path=path, message=message, hint="give each an entry of its own"))
        return None
    others = [str(key) for key in value if key not in RULE_WORDS] or [str(key) for key in value]
    if not others:
        problems.append(Problem(path=path, message="an empty rule", hint=_one_of(kinds)))
        return None
    word = others[0]
    message, hint = later("rules", word) or (f"there is no rule `{word}` here", "")
    if (ours := ELSEWHERE.get(word)) in kinds:
        hint = f"write `{ours}`"
    if word in QUALITY_RULES or word in CLEAN_RULES:
        hint = "cleaning rules stand in a step of `kind: clean`, the others in `checks`"
    problems.append(
        Problem(path=joined(path, word), message=message, hint=hint or did_you_mean(word, [*kinds]))
    )
    return None


def _one_of(kinds: Iterable[str]) -> str:
    return "rules here: " + ", ".join(kinds)


def _kind(
    value: object, kinds: Mapping[str, type[T]], path: str, place: str, problems: Problems
) -> type[T] | None:
    if not isinstance(value, dict):
        problems.append(Problem(path=path, message=wanted("a map", value)))
        return None
    kind = value.get("kind")
    if isinstance(kind, str) and kind in kinds:
        return kinds[kind]
    if "kind" not in value:
        problems.append(Problem(path=path, message="`kind` is missing", hint=_kinds(kinds)))
    elif not isinstance(kind, str):
        at = joined(path, "kind")
        problems.append(Problem(path=at, message=wanted("text", kind), hint=_kinds(kinds)))
    else:
        message, hint = later(f"{place} kind", kind) or (
            f"there is no kind {kind!r}",
            did_you_mean(kind, [*kinds]),
        )
        problems.append(Problem(path=joined(path, "kind"), message=message, hint=hint))
    return None


def _kinds(kinds: Iterable[str]) -> str:
    return "one of " + ", ".join(kinds)
