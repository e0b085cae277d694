"""Parts: what an appending store writes to its folder, one file for each slice.

A slice is what a run is about: the values of its params. The same slice has the same part, so to
store it again replaces that part and leaves all others alone.
"""

import hashlib
from urllib.parse import quote

from commands.steps.job import Job
from domain.pipeline.sinks import CsvSink, JsonlSink, ParquetSink, Sink
from domain.pipeline.steps import Store
from domain.run.events import ParamValue

_name_bytes_max = 200
"""Of a part's name: file systems allow 255, and its mark's name is longer."""


def path_of(job: Job, step: Store) -> str:
    """Where the step writes in this run."""
    path = job.filled(step.sink.path)
    if step.mode == "replace":
        return path
    names = step.slice or tuple(job.spec.params)
    values = [f"{name}={_text(job.work.params.get(name))}" for name in names]
    stem = ".".join((job.dataset, *values))
    if len(stem) > _name_bytes_max:
        stem = f"{job.dataset}.{hashlib.sha256(stem.encode()).hexdigest()}"
    return f"{path.rstrip('/')}/{stem}{_suffix(step.sink)}"


def _text(value: ParamValue) -> str:
    """A value that is a file's name, and no other value's: a point stays apart from our own."""
    text = str(value).lower() if value is None or isinstance(value, bool) else str(value)
    return quote(text, safe=":+ ").replace(".", "%2E")


def _suffix(sink: Sink) -> str:
    packed = ".gz" if sink.path.endswith(".gz") else ""
    match sink:
        case ParquetSink():
            return ".parquet"
        case CsvSink():
            return f".csv{packed}"
        case JsonlSink():
            return f".jsonl{packed}"
