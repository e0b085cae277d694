"""A pipeline file and everything it names, read from disk."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from adapters.paths import confined
from adapters.pipelinefile.document import Document, Unreadable, with_step_ids
from adapters.pipelinefile.jsonfile import read_json
from adapters.pipelinefile.modules import first_party
from adapters.pipelinefile.places import PipelineFile, unreadable, unusable
from adapters.pipelinefile.texts import read_text
from adapters.pipelinefile.tomlfile import read_toml
from adapters.pipelinefile.yamlfile import read_yaml
from domain.errors import Malformed, NotFound
from domain.limits import definition_bytes_max
from domain.merging import merged
from domain.pipeline.contracts import place_of
from domain.pipeline.problems import Problem
from domain.pipeline.shape import joined
from domain.pipeline.spec import PipelineSpec, examine
from domain.pipeline.steps import Transform, Validate

_READERS = {".yaml": read_yaml, ".yml": read_yaml, ".json": read_json, ".toml": read_toml}


def read_pipeline(
    path: Path, roots: Sequence[str] = (), defaults: Mapping[str, object] | None = None
) -> PipelineFile:
    """The file, its structure checked, with the SQL files and Python modules that it names.

    `roots` are the folders that paths may lead into, the file's own folder being one always.
    `defaults` hold where its own `defaults` do not say otherwise; they are known to be good.
    Raises `NotFound` where there is no such file; else `Rejection` with code `invalid_pipeline`,
    whose problems have `path`, `message`, `hint`, `line` and `place`.
    """
    root = str(path.parent.resolve())
    document = _document(path)
    spec, problems = examine(document.value)
    if spec is None:
        raise unusable(path, problems, document)
    files = _files(spec, root, (root, *roots), problems)
    value = _over(defaults or {}, document.value if isinstance(document.value, dict) else {})
    size = len(msgspec.json.encode([value, files]))
    if size > definition_bytes_max and not problems:
        message = f"{size} bytes with the files it names, more than {definition_bytes_max}"
        problems.append(Problem(path="", message=message))
    if problems:
        raise unusable(path, problems, document)
    known = with_step_ids(document)
    return PipelineFile(
        path=path,
        pipeline=spec.pipeline,
        spec=value,
        files=files,
        root=root,
        lines=known.lines,
        texts=known.texts,
    )


def _over(defaults: Mapping[str, object], value: Mapping[str, object]) -> dict[str, object]:
    """The file's values over its project's defaults, key by key to the bottom."""
    own = value.get("defaults") or {}
    return {**value, "defaults": merged(defaults, own)} if defaults else {**value}


def _document(path: Path) -> Document:
    read = _READERS.get(path.suffix.lower(), read_yaml)
    try:
        return read(read_text(path))
    except Unreadable as error:
        raise unreadable(path, error) from error
    except Malformed as error:
        problem = Problem(path="", message=error.message, hint=error.hint)
        raise unusable(path, [problem], None) from error


def _files(
    spec: PipelineSpec, root: str, roots: Sequence[str], problems: list[Problem]
) -> dict[str, str]:
    files: dict[str, str] = {}
    for at, named in _contracts(spec):
        file = place_of(named)[0]
        try:
            files[file] = read_text(confined(file, root, roots))
        except (Malformed, NotFound) as error:
            problems.append(Problem(path=at, message=error.message, hint=error.hint))
    for step in spec.steps:
        if not isinstance(step, Transform) or step.sql:
            continue
        key = "sql_file" if step.sql_file else "python"
        at = joined(joined("steps", step.id), key)
        try:
            if step.sql_file:
                files[step.sql_file] = read_text(confined(step.sql_file, root, roots))
            else:
                files |= first_party(step.python.partition(":")[0], root, roots)
        except (Malformed, NotFound) as error:
            problems.append(Problem(path=at, message=error.message, hint=error.hint))
    return files


def _contracts(spec: PipelineSpec) -> Iterator[tuple[str, str]]:
    for name, source in spec.sources.items():
        if source.contract:
            yield joined(joined("sources", name), "contract"), source.contract
    for step in spec.steps:
        if isinstance(step, Validate):
            yield joined(joined("steps", step.id), "contract"), step.contract
