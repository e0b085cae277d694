"""A step process: its composition root, and the loop in which it serves its pool.

    python -m runtime.child DATA THREADS TIMEZONE DATASETS [ROOT …]

Requests come through standard input and answers go through standard output, until both are taken
over for this and the process's own input and output point elsewhere: output to the log of the
attempt in work. A reader of its own notices when the pool is gone, also in the middle of work, and
ends the process and all that it started.
"""

import faulthandler
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from adapters import telemetry
from adapters.datasets.cached import open_artifacts, send_log
from adapters.datasets.files import FileSources
from adapters.datasets.memory import SourceMemory
from adapters.datasets.targets import FileSinks
from adapters.engines.duckdb import DuckEngines
from adapters.engines.ledger.accountant import QueryAccountant
from adapters.engines.lineage.tracer import ColumnTracer
from adapters.engines.python import BundleFunctions
from adapters.pipelinefile.contracts import read_contract
from adapters.processes.messages import (
    HEADER,
    BindReply,
    BindRequest,
    DefectReply,
    PingRequest,
    PongReply,
    RefusedReply,
    Reply,
    Request,
    Room,
    StepReply,
    StepRequest,
    frame,
    read_request,
)
from adapters.processes.output import Output
from adapters.processes.places import log_name, output_of, scratch_of
from commands.steps.ahead import made_by, steps_of, work_behind
from commands.steps.ports import StepBroken, Workbench
from commands.steps.task import carry_out
from commands.steps.work import StepInput, StepWork
from domain.errors import Rejection
from domain.pipeline.spec import PipelineSpec, decode_spec
from domain.pipeline.steps import kind_of
from domain.run.commands import Failed, Reused, StepResult
from runtime.tracing import tracing

_definitions_max = 16
"""As many as the pool thinks that a child remembers."""

_engine_memory_share = 0.6
"""Of a step's memory, for the engine; the rest is for Python, Arrow and what the engine hides."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Known(Struct, frozen=True):
    """A definition, read."""

    spec: PipelineSpec
    files: dict[str, str]


class Place(Struct, frozen=True, kw_only=True):
    """Where and how steps are carried out."""

    data: Path
    datasets: str
    """The bucket, or empty."""
    timezone: str
    roots: tuple[str, ...]


class Server:
    """Answers requests with the adapters of one data directory."""

    def __init__(self, place: Place, threads: int) -> None:
        self._place = place
        self._output = Output(output_of(place.data, os.getpid()))
        scratch = scratch_of(place.data, os.getpid())
        scratch.mkdir(parents=True, exist_ok=True)
        self._artifacts = open_artifacts(place.data, scratch, place.datasets)
        self._memory = SourceMemory(place.data / "sources")
        self._engines = DuckEngines(str(scratch), threads)
        self._known: OrderedDict[str, Known] = OrderedDict()

    def answers(self, request: Request) -> Iterator[Reply]:
        """The answers to one request; a mistake of our own is an answer too."""
        try:
            match request:
                case StepRequest():
                    yield from self._steps(request)
                case BindRequest():
                    yield self._bind(request)
                case PingRequest():
                    yield PongReply()
        except Rejection as refusal:
            yield RefusedReply(code=refusal.code, message=refusal.message, details=refusal.details)
        except Exception:  # noqa: BLE001  # this is the child's supervisor: the parent shows what it says
            yield DefectReply(traceback=traceback.format_exc())

    def prepare(self) -> None:
        """Make ready for the next request, while nobody waits."""
        self._engines.prepare()

    def _steps(self, request: StepRequest) -> Iterator[StepReply]:
        """The step, and those ahead of it as far as each has what it works on."""
        known = self._definition(request)
        rooms = dict(zip(steps_of(request.work), request.rooms, strict=True))
        made: dict[str, StepInput] = {}
        end = time.monotonic() + request.ahead_seconds
        work: StepWork | None = request.work
        while work is not None:
            if work is request.work:
                result = self._step(work, rooms[work.step], known)
            else:
                result = self._step_behind(work, rooms[work.step], known)
            if (output := made_by(work, kind_of(known.spec.step(work.step)), result)) is not None:
                made[work.step] = output
            work = work_behind(request.work, work.step, made, ahead=time.monotonic() < end)
            yield StepReply(
                result=result,
                resident_bytes=_resident_bytes(),
                following=work.step if work is not None else "",
            )

    def _step_behind(self, work: StepWork, room: Room, known: Known) -> StepResult:
        """A step that its worker has not begun itself."""
        with telemetry.step(str(work.run), work.step, parent=work.traceparent) as span:
            span.set(telemetry.ATTEMPT, work.attempt)
            span.set(telemetry.LEASE, work.lease)
            return self._step(replace(work, traceparent=span.traceparent), room, known)

    def _step(self, work: StepWork, room: Room, known: Known) -> StepResult:
        log = Path(room.log)
        self._engines.memory_bytes = int(room.memory_bytes * _engine_memory_share)
        try:
            self._output.begin(log)
            return self._done(work, log, known)
        except StepBroken as stopped:
            return Failed(error=stopped.error)

    def _done(self, work: StepWork, log: Path, known: Known) -> StepResult:
        try:
            with telemetry.child(str(work.run), work.step, parent=work.traceparent) as span:
                result = carry_out(work, known.spec, known.files, self._bench(work, known))
                if isinstance(result, Failed):
                    span.fail(result.error.code, result.error.message)
        finally:
            written = self._output.end()
        if isinstance(result, Reused) or not written:
            return result
        send_log(self._place.datasets, log, log_name(work))
        return replace(result, log=log_name(work))

    def _definition(self, request: StepRequest) -> Known:
        definition = request.definition
        if definition is not None:
            spec = decode_spec(bytes(definition.spec))
            self._known[definition.bundle] = Known(spec, definition.files)
        self._known.move_to_end(request.work.bundle)
        if len(self._known) > _definitions_max:
            self._known.popitem(last=False)
        return self._known[request.work.bundle]

    def _bench(self, work: StepWork, known: Known) -> Workbench:
        # Its root was one of the roots when the definition was taken: it stays one for it.
        roots = (*self._place.roots, work.root)
        return Workbench(
            engines=self._engines,
            artifacts=self._artifacts,
            sources=FileSources(self._engines, work.root, roots, self._memory),
            sinks=FileSinks(work.root, roots),
            functions=BundleFunctions(self._place.data / "bundles" / work.bundle, known.files),
            tracer=ColumnTracer(),
            contracts=read_contract,
            accountant=QueryAccountant(),
            stopwatch=time.perf_counter,
            timezone=self._place.timezone,
        )

    def _bind(self, request: BindRequest) -> BindReply:
        import msgspec

        from adapters.engines.binding.definition import bind

        spec = msgspec.json.decode(request.spec)
        bound = bind(
            spec, request.files, request.root, self._place.roots or (request.root,), read_contract
        )
        return BindReply(pipeline=str(spec["pipeline"]), bound=bound)


class Line:
    """The pipes to the pool."""

    def __init__(self) -> None:
        self._requests = os.dup(0)
        self._replies = os.dup(1)
        self._arrived: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._busy = False
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(nowhere, descriptor)
        os.close(nowhere)
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def next(self) -> Request | None:
        """The next request; None when the pool is gone. It is in work until `rest`."""
        body = self._arrived.get()
        self._busy = True
        return None if body is None else read_request(body)

    def send(self, reply: Reply) -> None:
        """Answer."""
        view = memoryview(frame(reply))
        while view:
            view = view[os.write(self._replies, view) :]

    def rest(self) -> None:
        """Nothing is in work."""
        self._busy = False

    def _read(self) -> None:
        while (head := self._exactly(HEADER.size)) is not None:
            body = self._exactly(HEADER.unpack(head)[0])
            if body is None:
                break
            self._arrived.put(body)
        if self._busy:
            _end_group()
        self._arrived.put(None)

    def _exactly(self, size: int) -> bytes | None:
        found = bytearray()
        while len(found) < size:
            part = os.read(self._requests, size - len(found))
            if not part:
                return None
            found += part
        return bytes(found)


def _end_group() -> None:
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _resident_bytes() -> int:
    statm = _statm()
    return int(os.pread(statm, 256, 0).split()[1]) * _PAGE_BYTES if statm is not None else 0


@cache
def _statm() -> int | None:
    """The file in which the system tells this process's memory anew each time; None where there is
    none."""
    with suppress(OSError):
        return os.open("/proc/self/statm", os.O_RDONLY)
    return None


def main() -> None:
    """Serve until the pool is gone."""
    data, threads, timezone, datasets, *roots = sys.argv[1:]
    line = Line()
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    place = Place(data=Path(data), datasets=datasets, timezone=timezone, roots=tuple(roots))
    server = Server(place, int(threads) or os.cpu_count() or 1)
    with tracing("step"):
        server.prepare()
        while (request := line.next()) is not None:
            for reply in server.answers(request):
                line.send(reply)
            server.prepare()
            line.rest()
    # Nothing is left to be put in order, and the engine's own farewell takes its time.
    os._exit(0)


if __name__ == "__main__":
    main()
