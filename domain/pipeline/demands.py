"""What a part of the file must keep beyond the types of its keys."""

import re
from collections.abc import Iterator, Mapping

from domain.limits import attempts_max
from domain.pipeline.contracts import place_of
from domain.pipeline.limits import Limits, share_demands
from domain.pipeline.names import did_you_mean, name_problem
from domain.pipeline.params import Param
from domain.pipeline.problems import Problem
from domain.pipeline.ruledemands import column_demands
from domain.pipeline.shape import joined
from domain.pipeline.sources import CsvSource, Source
from domain.pipeline.steps import Check, Clean, Ingest, Retry, Step, Store, Transform, Validate
from domain.pipeline.units import ByteSize, Duration

_timeout_seconds_max = 30 * 86400.0
_WRITTEN = ("date", "timestamp")
_memory_bytes_min = 16 * 2**20


def name_demands(name: str, path: str) -> Iterator[Problem]:
    """A name that people and SQL can use."""
    if problem := name_problem(name):
        yield Problem(path=path, message=problem[0], hint=problem[1])


def retry_demands(retry: Retry, path: str) -> Iterator[Problem]:
    """Attempts and times within their bounds."""
    if not 1 <= retry.attempts <= attempts_max:
        yield Problem(
            path=joined(path, "attempts"),
            message=f"{retry.attempts} is not between 1 and {attempts_max}",
            hint="`attempts` counts the first one too; 1 means no retry",
        )
    if not 1 <= retry.multiplier <= 100:
        message = f"{retry.multiplier} is not between 1 and 100"
        yield Problem(path=joined(path, "multiplier"), message=message)
    if retry.max.seconds > _timeout_seconds_max:
        yield Problem(path=joined(path, "max"), message=f"{retry.max} is longer than 30d")


def bound_demands(
    timeout: Duration | None, memory: ByteSize | None, path: str
) -> Iterator[Problem]:
    """A time and a size that a step can live with."""
    if timeout is not None and not 0 < timeout.seconds <= _timeout_seconds_max:
        message = f"{timeout} is not between 1ms and 30d"
        yield Problem(path=joined(path, "timeout"), message=message)
    if memory is not None and memory.bytes < _memory_bytes_min:
        message = f"{memory} is less than 16MiB, with which nothing runs"
        yield Problem(path=joined(path, "memory"), message=message)


def limit_demands(limits: Limits, path: str) -> Iterator[Problem]:
    """A share or a number of rows."""
    yield from share_demands(limits.max_quarantined, joined(path, "max_quarantined"))


def source_demands(source: Source, path: str) -> Iterator[Problem]:
    """Formats where there is something to be written in more than one way."""
    for name, format_ in source.formats.items():
        at = joined(joined(path, "columns"), name)
        if source.declared[name] not in _WRITTEN:
            message = f"a {source.declared[name]} has no format"
            yield Problem(path=joined(at, "format"), message=message)
        elif "%" not in format_:
            hint = "write one such as '%d/%m/%Y'"
            yield Problem(path=joined(at, "format"), message=f"{format_!r} is no format", hint=hint)
    if isinstance(source, CsvSource):
        yield from csv_demands(source, path)


def csv_demands(source: CsvSource, path: str) -> Iterator[Problem]:
    """A delimiter of one character, and columns where the file names none."""
    if len(source.delimiter) != 1:
        message = f"{source.delimiter!r} is not one character"
        yield Problem(path=joined(path, "delimiter"), message=message)
    if not source.header and not source.columns and not source.contract:
        yield Problem(
            path=joined(path, "header"),
            message="a file without a header does not name its columns",
            hint="declare all of them, in order: `columns: {id: integer, …}`",
        )


def step_demands(step: Step, path: str) -> Iterator[Problem]:
    """What a kind of step needs beside its keys' types."""
    yield from name_demands(step.id, joined(path, "id"))
    yield from bound_demands(step.timeout, step.memory, path)
    if step.retry is not None:
        yield from retry_demands(step.retry, joined(path, "retry"))
    if isinstance(step, Ingest | Validate | Clean) and step.limits is not None:
        yield from limit_demands(step.limits, joined(path, "limits"))
    match step:
        case Transform():
            yield from _transform(step, path)
        case Clean() | Check():
            if not step.rules:
                yield Problem(path=joined(path, "rules"), message="no rule at all")
        case Store():
            yield from column_demands(step.order_by, joined(path, "order_by"), empty=True)
            if step.slice and step.mode != "append":
                hint = "write `mode: append` for a folder with a part for each slice"
                message = f"there are no slices with `mode: {step.mode}`"
                yield Problem(path=joined(path, "slice"), message=message, hint=hint)
        case Validate():
            if not place_of(step.contract)[0]:
                yield Problem(path=joined(path, "contract"), message="an empty path")
        case Ingest():
            pass


def slice_demands(step: Step, params: Mapping[str, Param]) -> Iterator[Problem]:
    """A slice is told by params that the pipeline has."""
    if not isinstance(step, Store):
        return
    for name in step.slice:
        if name not in params:
            hint = did_you_mean(name, list(params)) or "declare it in `params:`"
            message = f"there is no param `{name}`"
            yield Problem(
                path=joined(joined("steps", step.id), "slice"), message=message, hint=hint
            )


def _transform(step: Transform, path: str) -> Iterator[Problem]:
    ways = [key for key in ("sql", "sql_file", "python") if getattr(step, key)]
    if len(ways) != 1:
        found = " and ".join(f"`{way}`" for way in ways) or "none of them"
        yield Problem(
            path=joined(path, ways[1]) if ways else path,
            message=f"a transform has one of `sql`, `sql_file` and `python`, this has {found}",
        )
    if step.input and step.inputs:
        yield Problem(
            path=joined(path, "input"), message="`input` beside `inputs`", hint="keep one of them"
        )
    if step.python and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", step.python) is None:
        yield Problem(
            path=joined(path, "python"),
            message=f"{step.python!r} names no function",
            hint="write `module:function`, such as `steps:score`",
        )
    if step.python and not step.aliases:
        hint = "write `input: STEP`, or `inputs: {argument: STEP}`"
        yield Problem(path=path, message="a Python step needs `input` or `inputs`", hint=hint)
    if step.python and step.promises:
        hint = "leave it out: what a function does with rows cannot be followed"
        message = "a Python step cannot promise what it keeps"
        yield Problem(path=joined(path, "keeps"), message=message, hint=hint)
    for alias in step.aliases:
        if step.aliases[alias] != alias:
            yield from name_demands(alias, joined(joined(path, "inputs"), alias))
