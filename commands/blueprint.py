"""What starting a run needs to know of a definition: the plan, and the params it takes."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from domain.pipeline.events import Definition
from domain.pipeline.params import Param
from domain.pipeline.planning import plan
from domain.pipeline.spec import decode_spec
from domain.run.events import PlannedStep


class Blueprint(Struct, frozen=True, kw_only=True):
    """A definition as the orchestrator sees it."""

    plan: tuple[PlannedStep, ...]
    """In an order in which each step follows its inputs."""
    parallel: int
    params: Mapping[str, Param] = {}


ReadBlueprint = Callable[[Definition], Blueprint]
"""Pure: the same definition always gives the same blueprint."""


def read_blueprint(definition: Definition) -> Blueprint:
    """The blueprint of a bound definition; what binding has passed can be read."""
    spec = decode_spec(bytes(definition.spec))
    return Blueprint(plan=plan(spec), parallel=spec.parallel, params=spec.params)


class Blueprints:
    """Blueprints by bundle, the last used ones at hand."""

    def __init__(self, read: ReadBlueprint = read_blueprint, kept_max: int = 64) -> None:
        self._read = read
        self._kept_max = kept_max
        self._kept: dict[str, Blueprint] = {}

    def of(self, definition: Definition) -> Blueprint:
        """The blueprint of `definition`."""
        found = self._kept.pop(definition.bundle, None) or self._read(definition)
        self._kept[definition.bundle] = found
        if len(self._kept) > self._kept_max:
            del self._kept[next(iter(self._kept))]
        return found
