"""Stored tags: the promise that every event ever written can be read for ever.

A tag never contains a module path, so code can move. A changed event gets a new tag, and an
upcaster that turns the old payload into the new one, applied wherever events are read.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from domain.errors import Malformed
from domain.pipeline import events as pipeline
from domain.pipeline.events import PipelineEvent
from domain.run import events as run
from domain.run.events import RunEvent

Event = PipelineEvent | RunEvent
Payload = dict[str, Any]


class Upcast(Struct, frozen=True):
    """How an old payload becomes the next shape."""

    tag: str
    """The tag that it becomes."""
    change: Callable[[Payload], Payload]


class Catalog:
    """Tag ↔ event class, with the upcasters of tags that are no longer written."""

    def __init__(
        self, events: Mapping[str, type[Any]], upcasts: Mapping[str, Upcast] | None = None
    ) -> None:
        self._upcasts = dict(upcasts or {})
        self._kinds = dict(events)
        self._tags = {kind: tag for tag, kind in events.items()}
        self._decoders = {tag: msgspec.json.Decoder(kind) for tag, kind in events.items()}
        self._encoder = msgspec.json.Encoder()

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag that is written today."""
        return tuple(self._decoders)

    @property
    def readable(self) -> tuple[str, ...]:
        """Every tag that can be read: those, and what becomes one of them."""
        return (*self._decoders, *self._upcasts)

    def kind_of(self, tag: str) -> type[Any]:
        """The class of a tag that is written today. Raises `KeyError` for others."""
        return self._kinds[tag]

    def tag_of(self, event: object) -> str:
        """The tag under which `event` is stored."""
        return self._tags[type(event)]

    def encode(self, event: object) -> bytes:
        """The payload as JSON."""
        return self._encoder.encode(event)

    def decode(self, tag: str, payload: bytes | msgspec.Raw) -> Any:
        """The event of a stored payload, upcast if it is old. Raises `Malformed`."""
        try:
            upcast = self._upcasts.get(tag)
            while upcast is not None:
                payload = msgspec.json.encode(upcast.change(msgspec.json.decode(payload)))
                tag = upcast.tag
                upcast = self._upcasts.get(tag)
            decoder = self._decoders.get(tag)
            if decoder is None:
                raise Malformed(f"no event is known by the tag {tag!r}", hint="update Headwater")
            return decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"a stored {tag} cannot be read: {error}") from error


CATALOG = Catalog(
    {
        "pipeline.registered.v1": pipeline.PipelineRegistered,
        "pipeline.revised.v1": pipeline.PipelineRevised,
        "pipeline.paused.v1": pipeline.PipelinePaused,
        "pipeline.resumed.v1": pipeline.PipelineResumed,
        "pipeline.retired.v1": pipeline.PipelineRetired,
        "run.started.v1": run.RunStarted,
        "run.planned.v1": run.RunPlanned,
        "run.step_scheduled.v1": run.StepScheduled,
        "run.step_started.v1": run.StepStarted,
        "run.data_ingested.v1": run.DataIngested,
        "run.data_validated.v1": run.DataValidated,
        "run.data_cleaned.v1": run.DataCleaned,
        "run.data_processed.v1": run.DataProcessed,
        "run.quality_checked.v1": run.QualityChecked,
        "run.data_stored.v1": run.DataStored,
        "run.data_indexed.v1": run.DataIndexed,
        "run.notification_sent.v1": run.NotificationSent,
        "run.columns_traced.v1": run.ColumnsTraced,
        "run.step_reused.v1": run.StepReused,
        "run.quarantine_settled.v1": run.QuarantineSettled,
        "run.step_failed.v1": run.StepFailed,
        "run.step_skipped.v1": run.StepSkipped,
        "run.cancel_requested.v1": run.CancelRequested,
        "run.cancelled.v1": run.RunCancelled,
        "run.completed.v1": run.RunCompleted,
        "run.failed.v1": run.RunFailed,
    }
)
