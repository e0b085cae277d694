"""How long a step may take and how much memory it may have, as its definition says."""

from collections import OrderedDict

import msgspec
from msgspec import Struct

from domain.pipeline.events import Definition
from domain.pipeline.units import ByteSize, Duration

_bundles_max = 64


class Limits(Struct, frozen=True, kw_only=True):
    """What a step may take."""

    seconds: float
    memory_bytes: int
    is_python: bool = False


class _Words(Struct, frozen=True):
    timeout: str | None = None
    memory: str | None = None


class _Step(_Words, frozen=True):
    id: str = ""
    python: str = ""


class _Spec(Struct, frozen=True):
    steps: list[_Step]
    defaults: _Words = _Words()


class LimitBook:
    """Limits of the steps of the bundles that were asked about last.

    Reads no more of a definition than that: the parent has other things to do.
    """

    def __init__(self, seconds: float, memory_bytes: int) -> None:
        self._default = Limits(seconds=seconds, memory_bytes=memory_bytes)
        self._known: OrderedDict[str, dict[str, Limits]] = OrderedDict()

    def of(self, definition: Definition, step: str) -> Limits:
        """The limits of one step."""
        steps = self._known.get(definition.bundle)
        if steps is None:
            steps = self._known[definition.bundle] = self._read(definition)
            if len(self._known) > _bundles_max:
                self._known.popitem(last=False)
        return steps.get(step, self._default)

    def _read(self, definition: Definition) -> dict[str, Limits]:
        spec = msgspec.json.decode(definition.spec, type=_Spec)
        return {step.id: self._limits(step, spec.defaults) for step in spec.steps}

    def _limits(self, step: _Step, defaults: _Words) -> Limits:
        timeout = step.timeout or defaults.timeout
        memory = step.memory or defaults.memory
        return Limits(
            seconds=Duration(timeout).seconds if timeout else self._default.seconds,
            memory_bytes=ByteSize(memory).bytes if memory else self._default.memory_bytes,
            is_python=bool(step.python),
        )
