"""Works on steps: claim, carry out, report.

Nothing outside is touched before a claim is accepted, and nothing counts that is reported for
another lease than the last one. So tasks may come twice, late or not at all, and workers may be
lost, without a step taking effect twice.

    task ─► claim ─► carry out in a child, heartbeat beside it ─► report ─► finish
              ▲         ▲  │        └─► and what follows, ahead ─────┤
              └─ child ─┼──┘                                        │
                 lost   └── steps that it takes in their place ◄─────┘
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

import anyio
import msgspec
from anyio.abc import TaskGroup
from msgspec import Struct

from adapters import telemetry
from commands.ports import (
    Clock,
    CommandContext,
    CommandSender,
    Definitions,
    Hands,
    Leases,
    Task,
    TaskDelivery,
    TaskSource,
)
from commands.steps.ahead import work_leased
from commands.steps.work import Assignment, ChildLost, StepRunner, StepWork
from domain.errors import Rejection, TimedOut, Unavailable
from domain.limits import crashes_max
from domain.pipeline.events import Definition
from domain.run.commands import StepResult
from runtime.supervisor import Part, Signals
from runtime.workers.foretold import Foretold
from runtime.workers.heartbeat import Heartbeat
from runtime.workers.job import Job, Key, Stint, key_of
from runtime.workers.report import CANCELLED, GoingOn, report_of, shortened


class StepLimits(Struct, frozen=True, kw_only=True):
    """How a step worker spends its time."""

    steps_max: int = 4
    """Steps worked on at once. As many more may wait here for their turn if their runs were started
    here, so that small runs need not wait behind the tasks of a large one."""
    takes_max: int = 8
    """Steps taken with a report, one after the other, before the worker looks into the queue again,
    where others may wait."""
    stint_seconds: float = 1.0
    """The same in time: nothing more is taken after it."""
    poll_seconds: float = 1.0
    heartbeat_seconds: float = 3.0
    """A third of the time after which a silent worker's task goes to another."""
    sends_max: int = 3
    """Times that a claim is sent before its task is handed back."""
    resend_seconds_min: float = 0.2
    resend_seconds_max: float = 5.0
    definitions_max: int = 32
    """Definitions kept at hand."""


class StepPorts(Struct, frozen=True, kw_only=True):
    """What a step worker works with."""

    source: TaskSource
    sender: CommandSender
    leases: Leases
    definitions: Definitions
    runner: StepRunner
    clock: Clock


class StepPart(Part, Hands):
    """A step worker. Several of them, anywhere, share the queue."""

    def __init__(self, worker: str, ports: StepPorts, limits: StepLimits | None = None) -> None:
        self._worker = worker
        self._ports = ports
        self._limits = limits or StepLimits()
        self._context = CommandContext(principal=f"worker:{worker}")
        self._jobs: dict[Key, Job] = {}
        self._heartbeat = Heartbeat(ports.leases, self._limits.heartbeat_seconds)
        self._promised = 0
        """Places kept for runs that are being started."""
        self._foretold = Foretold()
        self._freed = anyio.Event()
        self._definitions: dict[str, Definition] = {}
        self._crew: tuple[TaskGroup, Signals] | None = None
        """What jobs run in, while this part lives."""

    @property
    def name(self) -> str:
        """For reports."""
        return f"steps {self._worker}"

    @property
    def busy(self) -> int:
        """Steps in work."""
        return len(self._jobs)

    def offer(self) -> str:
        """Its name where it stays and has room; the place is kept until `give`."""
        if self._taken >= 2 * self._limits.steps_max or not self._is_staying:
            return ""
        self._promised += 1
        return self._worker

    def foretell(self, work: Mapping[str, Any], cause: UUID) -> None:
        """Begin in a process with what will be given, where its definition is known; not while
        spans are recorded, since this one's would begin before what causes it."""
        given = msgspec.convert(work, StepWork)
        definition = self._definitions.get(given.bundle)
        if definition is not None and self._is_staying and not telemetry.is_recording():
            job = self._job_given(given, cause)
            self._start(job, given, definition)
            self._end(self._foretold.keep(cause, job))

    def give(self, work: Mapping[str, Any] | None, cause: UUID) -> None:
        """Begin what came of an offer. A worker that stops meanwhile leaves it to others, like one
        that dies."""
        self._promised -= 1
        given = None if work is None else msgspec.convert(work, StepWork)
        job, other = self._foretold.settle(cause, given)
        self._end(other)
        if given is not None:
            self._begin(job or self._job_given(given, cause))
        self._freed.set()

    def _end(self, job: Job | None) -> None:
        """Give up what a process has begun with."""
        if job is not None and job.doing is not None and self._crew is not None:
            self._crew[0].start_soon(job.doing.close)

    def _job_given(self, given: StepWork, cause: UUID) -> Job:
        task = Task(run=given.run, step=given.step, attempt=given.attempt)
        job = self._job(msgspec.structs.replace(task, traceparent=given.traceparent))
        job.given = (cause, given)
        return job

    @property
    def _taken(self) -> int:
        """Places."""
        return len(self._jobs) + self._promised

    @property
    def _is_staying(self) -> bool:
        return self._crew is not None and not self._crew[1].is_draining

    def _job(self, task: Task, *deliveries: TaskDelivery) -> Job:
        end = self._ports.clock.monotonic() + self._limits.stint_seconds
        return Job(task, Stint(end=end, takes_left=self._limits.takes_max), *deliveries)

    def nudge(self, run: UUID) -> None:
        """Look at once whether the leases of a run still count, as after a request to cancel."""
        for job in self._jobs.values():
            if job.task.run == run and job.held is not None:
                self._heartbeat.nudge(job.held)

    async def run(self, signals: Signals) -> None:
        """Take tasks until draining, then end what was begun."""
        async with anyio.create_task_group() as beside:
            beside.start_soon(self._heartbeat.run)
            async with anyio.create_task_group() as tasks:
                self._crew = (tasks, signals)
                signals.ready()
                try:
                    while not signals.is_draining:
                        with signals.interruptible():
                            await self._take(signals)
                finally:
                    self._crew = None
            beside.cancel_scope.cancel()

    async def _take(self, signals: Signals) -> None:
        while self._taken >= self._limits.steps_max:
            self._freed = anyio.Event()
            await self._freed.wait()
        free = self._limits.steps_max - self._taken
        try:
            deliveries = await self._ports.source.next(free, self._limits.poll_seconds)
        except Unavailable as error:
            # The queue is away; what is in work does not need it to be done and reported.
            if not signals.is_draining:
                signals.halt(error.in_one_line)
            await self._ports.clock.sleep(self._limits.resend_seconds_min)
            return
        signals.ready()
        for delivery in deliveries:
            known = self._jobs.get(key_of(delivery.task))
            if known is None:
                self._begin(self._job(delivery.task, delivery))
            else:
                # The queue thinks that this worker is lost, or the step came without a task. All
                # deliveries are held and finished.
                known.deliveries.append(delivery)
                if known.held is not None:
                    self._heartbeat.nudge(known.held)

    def _begin(self, job: Job) -> None:
        if self._crew is not None:
            tasks, signals = self._crew
            self._jobs[key_of(job.task)] = job
            name = f"step {job.task.step} of {job.task.run}"
            tasks.start_soon(signals.guard, name, lambda: self._do_all(job))

    async def _do_all(self, first: Job) -> None:
        """One step, and all that this worker takes in its place."""
        job: Job | None = first
        while job is not None:
            await self._do(job)
            job = job.following

    async def _do(self, job: Job) -> None:
        task, is_done = job.task, False
        try:
            with self._span(job) as span:
                await self._carry_out(job, span)
            is_done = True
        finally:
            del self._jobs[key_of(task)]
            if job.following is not None and not is_done:
                del self._jobs[key_of(job.following.task)]
                job.doing = job.following.doing
            if job.doing is not None:
                await job.doing.close()
            self._freed.set()
            if not job.is_settled:
                with anyio.move_on_after(1, shield=True):
                    await job.give_back(0)

    def _span(self, job: Job) -> telemetry.Span:
        task = job.task
        if job.doing is not None:  # the process that does it ahead has a span for it
            return telemetry.Span(task.traceparent)
        span = telemetry.step(str(task.run), task.step, parent=task.traceparent)
        span.set(telemetry.ATTEMPT, task.attempt)
        span.set(telemetry.WORKER, self._worker)
        return span

    async def _carry_out(self, job: Job, span: telemetry.Span) -> None:
        """Claim and work, again where the child is lost; the run ends what loses too many."""
        for crashes in range(crashes_max + 1):
            cause, work = job.given or await self._claim(job, span.traceparent, crashes > 0)
            job.given = None
            if work is None:
                return
            span.set(telemetry.LEASE, work.lease)
            definition = await self._definition(job, work)
            if definition is None:
                return
            work = msgspec.structs.replace(work, traceparent=span.traceparent)
            if await self._attend(job, work, definition, cause):
                return
        await job.give_back(self._limits.resend_seconds_max)

    async def _claim(
        self, job: Job, traceparent: str | None, crashed: bool
    ) -> tuple[UUID, StepWork | None]:
        """The claim and its work, or None where there is nothing to do here; the task is settled
        then."""
        task, claim_id = job.task, self._ports.clock.new_id()
        payload = {
            "run": task.run,
            "step": task.step,
            "attempt": task.attempt,
            "worker": self._worker,
            "command_id": claim_id,
            "correlation_id": task.correlation_id,
            **({"crashed": True} if crashed else {}),
        }
        context = msgspec.structs.replace(self._context, traceparent=traceparent)
        for _ in range(self._limits.sends_max):
            try:
                reply = await self._ports.sender.send("run.claim", payload, context)
            except Rejection as rejection:
                if rejection.code == "command_id_reused":
                    # Another version read it otherwise, and may have given the lease: claim anew.
                    await job.give_back(0)
                else:
                    await job.finish()
                return claim_id, None
            except (Unavailable, TimedOut):
                await self._ports.clock.sleep(self._limits.resend_seconds_min)
                continue
            if "work" in reply:
                return claim_id, msgspec.convert(reply["work"], StepWork)
            await job.finish()
            return claim_id, None
        await job.give_back(self._limits.resend_seconds_max)
        return claim_id, None

    async def _definition(self, job: Job, work: StepWork) -> Definition | None:
        known = self._definitions.get(work.bundle)
        if known is not None:
            return known
        try:
            found = await self._ports.definitions.definition(work.pipeline, work.revision)
        except (Unavailable, TimedOut):
            await job.give_back(self._limits.resend_seconds_max)
            return None
        self._definitions[work.bundle] = found
        if len(self._definitions) > self._limits.definitions_max:
            del self._definitions[next(iter(self._definitions))]
        return found

    async def _attend(self, job: Job, work: StepWork, definition: Definition, cause: UUID) -> bool:
        """Work and report under a heartbeat; False where the child was lost."""
        job.begin()
        outcome: StepResult | None = None
        job.held = self._heartbeat.hold(work, job)
        doing = job.doing or self._start(job, work, definition)
        try:
            with job.work_scope, suppress(ChildLost):
                outcome = await doing.result()
            if outcome is None:
                await doing.close()
            if outcome is None and job.is_cancelled:
                outcome = CANCELLED
            if outcome is not None and not job.is_lost:
                with job.report_scope:
                    await self._report(job, work, outcome, cause)
        finally:
            self._heartbeat.let_go(job.held)
            job.held = job.doing = None
            if job.following is None or job.following.doing is not doing:
                await doing.close()
        return job.is_lost or outcome is not None

    def _start(self, job: Job, work: StepWork, definition: Definition) -> Assignment:
        """Have a process do it, with no more to do ahead than this worker may take."""
        most = job.stint.takes_left if self._may_go_on(job) else 0
        ahead = tuple(one for place, one in enumerate(work.ahead) if one.lease or place < most)
        job.assigned = msgspec.structs.replace(work, ahead=ahead)
        seconds = job.stint.end - self._ports.clock.monotonic()
        job.doing = self._ports.runner.begin(job.assigned, definition, seconds)
        return job.doing

    def _may_go_on(self, job: Job) -> bool:
        """Whether it may take another step in this one's place."""
        return self._is_staying and job.stint.lasts(self._ports.clock.monotonic())

    async def _report(self, job: Job, work: StepWork, outcome: StepResult, cause: UUID) -> None:
        """Tell the outcome, until it is known to be stored or to count no more."""
        pause = self._limits.resend_seconds_min
        with telemetry.report(str(work.run), work.step, parent=work.traceparent) as span:
            context = CommandContext(
                principal=self._context.principal,
                traceparent=span.traceparent,
                causation_id=cause,
            )
            told = report_of(job, work, outcome, going_on=self._going_on(job))
            while True:
                try:
                    reply = await self._ports.sender.send("run.report", told, context)
                except (Unavailable, TimedOut):
                    await self._ports.clock.sleep(pause)
                    pause = min(2 * pause, self._limits.resend_seconds_max)
                except Rejection as rejection:
                    span.fail(rejection.code, rejection.message)
                    if rejection.code not in ("too_large", "malformed"):
                        job.lose()
                        return
                    told = shortened(told, rejection)
                else:
                    self._go_on(job, told, reply)
                    await job.finish()
                    return

    def _going_on(self, job: Job) -> GoingOn:
        worker = self._worker if self._may_go_on(job) else ""
        return GoingOn(worker=worker, is_staying=self._is_staying)

    def _go_on(self, job: Job, told: Mapping[str, Any], reply: Mapping[str, Any]) -> None:
        """Begin what follows in the place of what is done: with a lease that came with the reply,
        or had come before."""
        doing, work = job.doing, None
        if "work" in reply:
            work = msgspec.convert(reply["work"], StepWork)
        elif job.assigned is not None:
            work = work_leased(job.assigned, told["next"])
        if work is None:
            return
        task = msgspec.structs.replace(job.task, step=work.step, attempt=work.attempt)
        if key_of(task) not in self._jobs:  # the task has come meanwhile where the reply came late
            job.following = Job(task, job.stint.after(1 + len(told["then"])))
            job.following.given = (told["command_id"], work)
            if doing is not None and work.step == told["next"]:
                job.following.doing, job.following.assigned = doing, job.assigned
            self._jobs[key_of(task)] = job.following
