"""The pipeline file as types, its canonical bytes, and the hash of a whole revision."""

import hashlib
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from domain.data.promise import Strictness
from domain.limits import parallel_max, steps_max
from domain.pipeline.cases import Case, case_demands, cases_max
from domain.pipeline.decoding import decode_source, decode_step
from domain.pipeline.demands import (
    bound_demands,
    limit_demands,
    name_demands,
    retry_demands,
    slice_demands,
)
from domain.pipeline.limits import Limits
from domain.pipeline.params import BUILT_IN, Param, accepted
from domain.pipeline.problems import InvalidSpec, Problem
from domain.pipeline.shape import decode, joined, wanted
from domain.pipeline.sources import Source
from domain.pipeline.steps import Retry, Step, kind_of
from domain.pipeline.units import ByteSize, Duration

_params_max = 256
_sources_max = 4096


class Defaults(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What holds for each step that does not say otherwise."""

    retry: Retry | None = None
    timeout: Duration | None = None
    memory: ByteSize | None = None


class PipelineSpec(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole pipeline file."""

    pipeline: str
    description: str = ""
    params: dict[str, Param] = {}
    defaults: Defaults = Defaults()
    parallel: int = parallel_max
    """Steps of one run that are worked on at once."""
    limits: Limits = Limits()
    """How much a step may set apart, where it does not say so itself."""
    ledger: Strictness = "warn"
    """Whether rows that find no match in a transform fail it."""
    sources: dict[str, Source] = {}
    steps: tuple[Step, ...]
    tests: tuple[Case, ...] = ()

    def step(self, id_: str) -> Step:
        """The step called `id_`. Raises `KeyError`."""
        for step in self.steps:
            if step.id == id_:
                return step
        raise KeyError(id_)


class _Shell(Struct, kw_only=True, forbid_unknown_fields=True):
    pipeline: str
    description: str = ""
    params: dict[str, object] = {}
    defaults: Defaults = Defaults()
    parallel: int = parallel_max
    limits: Limits = Limits()
    ledger: Strictness = "warn"
    sources: dict[str, object] = {}
    steps: list[object]
    tests: list[object] = []


def decode_spec(value: object) -> PipelineSpec:
    """The spec that plain values (or JSON bytes) say. Raises `InvalidSpec`, a `Malformed` whose
    `problems` has every mistake that could be found."""
    if isinstance(value, bytes | str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidSpec([Problem(path="", message=f"not JSON: {error}")]) from error
    spec, problems = examine(value)
    if spec is None:
        raise InvalidSpec(problems)
    return spec


def encode_spec(spec: PipelineSpec) -> bytes:
    """Canonical JSON: the same spec always gives the same bytes, and `decode_spec` reads them."""
    return msgspec.json.encode(spec, enc_hook=plain)


def bundle_hash(spec: bytes, files: Mapping[str, str]) -> str:
    """SHA-256, in hexadecimal, of canonical spec bytes and of the files that the spec names."""
    whole = {"files": dict(files), "spec": msgspec.Raw(spec)}
    return hashlib.sha256(msgspec.json.encode(whole, order="sorted")).hexdigest()


def examine(value: object) -> tuple[PipelineSpec | None, list[Problem]]:
    """The spec that plain values say, or None with everything that is wrong with them."""
    if not isinstance(value, dict):
        hint = "a pipeline file starts with `pipeline: NAME`"
        return None, [Problem(path="", message=wanted("a map", value), hint=hint)]
    shell, problems = _shell(value)
    params = _params(_map(value, "params"), problems)
    sources = _sources(_map(value, "sources"), problems)
    steps = _steps(_list(value, "steps"), problems)
    problems += [problem for step in steps for problem in slice_demands(step, params)]
    cases = _cases(_list(value, "tests"), steps, problems)
    if shell is None or problems:
        return None, problems
    return (
        PipelineSpec(
            pipeline=shell.pipeline,
            description=shell.description,
            params=params,
            defaults=shell.defaults,
            parallel=shell.parallel,
            limits=shell.limits,
            ledger=shell.ledger,
            sources=sources,
            steps=tuple(steps),
            tests=tuple(cases),
        ),
        problems,
    )


def step_paths(steps: object) -> list[str]:
    """The path of each step: by its id where that is text and nobody else's, else by number."""
    ids = [
        one["id"] if isinstance(one, dict) and isinstance(one.get("id"), str) else None
        for one in (steps if isinstance(steps, list | tuple) else ())
    ]
    seen: dict[str, int] = {}
    for id_ in ids:
        if id_ is not None:
            seen[id_] = seen.get(id_, 0) + 1
    return [
        joined("steps", id_) if id_ and seen[id_] == 1 and "." not in id_ else f"steps[{place}]"
        for place, id_ in enumerate(ids)
    ]


def _shell(value: dict[str, object]) -> tuple[_Shell | None, list[Problem]]:
    shell, problems = decode(value, _Shell, "", "")
    if shell is None:
        return None, problems
    problems += name_demands(shell.pipeline, "pipeline")
    if not 1 <= shell.parallel <= parallel_max:
        message = f"{shell.parallel} is not between 1 and {parallel_max}"
        problems.append(Problem(path="parallel", message=message))
    if shell.defaults.retry is not None:
        problems += retry_demands(shell.defaults.retry, "defaults.retry")
    problems += bound_demands(shell.defaults.timeout, shell.defaults.memory, "defaults")
    problems += limit_demands(shell.limits, "limits")
    if not shell.steps:
        problems.append(Problem(path="steps", message="a pipeline has at least one step"))
    for key, entries, most in (
        ("steps", shell.steps, steps_max),
        ("params", shell.params, _params_max),
        ("sources", shell.sources, _sources_max),
        ("tests", shell.tests, cases_max),
    ):
        if len(entries) > most:
            message = f"{len(entries)} {key}, more than {most}"
            problems.append(Problem(path=key, message=message))
    return shell, problems


def _map(value: dict[str, object], key: str) -> dict[str, object]:
    inner = value.get(key)
    return inner if isinstance(inner, dict) and len(inner) <= _sources_max else {}


def _list(value: dict[str, object], key: str) -> list[object]:
    inner = value.get(key)
    return list(inner) if isinstance(inner, list | tuple) and len(inner) <= steps_max else []


def _params(values: dict[str, object], problems: list[Problem]) -> dict[str, Param]:
    params: dict[str, Param] = {}
    for name, value in values.items():
        path = joined("params", name)
        problems += name_demands(name, path)
        if name in BUILT_IN:
            problems.append(Problem(path=path, message=f"`{name}` is given by Headwater"))
        param, found = decode(value, Param, path, "params")
        problems += found
        if param is not None:
            params[name] = param
            problems += _default(param, path)
    return params


def _default(param: Param, path: str) -> Iterator[Problem]:
    if isinstance(param.default, msgspec.UnsetType):
        return
    try:
        same = accepted(param, param.default) == param.default
    except ValueError as error:
        yield Problem(path=joined(path, "default"), message=str(error))
        return
    if not same and param.type not in ("date", "timestamp"):
        message = f"{param.default!r} is text, not {param.type}"
        yield Problem(path=joined(path, "default"), message=message, hint="drop the quotes")


def _sources(values: dict[str, object], problems: list[Problem]) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    for name, value in values.items():
        path = joined("sources", name)
        problems += name_demands(name, path)
        source = decode_source(value, path, problems)
        if source is not None:
            sources[name] = source
    return sources


def _steps(values: list[object], problems: list[Problem]) -> list[Step]:
    paths = step_paths(values)
    first: dict[str, int] = {}
    steps: list[Step] = []
    for place, (value, path) in enumerate(zip(values, paths, strict=True)):
        step = decode_step(value, path, problems)
        if step is not None:
            steps.append(step)
        id_ = value.get("id") if isinstance(value, dict) else None
        if isinstance(id_, str) and first.setdefault(id_, place) != place:
            message = f"a second step is called {id_!r}; the first is steps[{first[id_]}]"
            problems.append(Problem(path=joined(path, "id"), message=message))
    return steps


def _cases(values: list[object], steps: list[Step], problems: list[Problem]) -> list[Case]:
    cases: list[Case] = []
    before = len(problems)
    for place, value in enumerate(values):
        case, found = decode(value, Case, joined("tests", place), "tests")
        problems += found
        if case is not None:
            cases.append(case)
    if len(problems) == before == 0:
        problems += case_demands(cases, steps)
    return cases


def plain(value: object) -> object:
    """How msgspec writes our own kinds of text and lists. Raises `TypeError` for any other."""
    match value:
        case str():
            return str.__str__(value)
        case tuple():
            return tuple(value)
    raise TypeError(f"a {type(value).__name__} has no place in a definition")


__all__ = [
    "Defaults",
    "InvalidSpec",
    "PipelineSpec",
    "bundle_hash",
    "decode_spec",
    "encode_spec",
    "examine",
    "kind_of",
    "plain",
    "step_paths",
]
