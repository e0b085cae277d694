"""Kills its process at a named point, such as right before the store's commit.

Python imports a module of this name when it starts. Where `HEADWATER_POINT` names a point and its
n-th passage (`store commit/before/3`), the function of that point is wrapped as soon as its module
is there; nothing else is changed. Whoever dies of it leaves a file in `HEADWATER_POINT_FOLDER`.
"""

import inspect
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

POINTS = {
    "store commit": "adapters.eventstore.sqlite:_insert_group",
    "events published": "adapters.jetstream.publisher:JetStreamPublisher.publish",
    "views committed": "adapters.readmodels.sqlite:move_all",
    "task put": "adapters.jetstream.tasks:JetStreamTaskQueue.ensure",
    "task acknowledged": "adapters.jetstream.tasks:JetStreamDelivery.finish",
    "command decided": "commands.dispatcher:CommandDispatcher.dispatch",
    "answer sent": "adapters.jetstream.endpoints:Endpoints._reply",
    "step handed over": "adapters.processes.child:Child.ask",
    "step reported": "runtime.workers.step:StepPart._report",
    "dataset named": "adapters.datasets.artifacts:FileArtifacts.hold",
    "outcome kept": "adapters.datasets.artifacts:FileArtifacts.keep",
    "destination written": "adapters.datasets.targets:FileDraft.publish",
}
"""What is done there → the function that does it. The last three are in a step's process."""


class _Death:
    """Counts passages, and dies at the last one."""

    def __init__(self, when: str, passages: int) -> None:
        self._when = when
        self._left = passages

    def pass_by(self, when: str) -> None:
        if when == self._when:
            self._left -= 1
            if self._left == 0:
                Path(os.environ["HEADWATER_POINT_FOLDER"], f"died-{os.getpid()}").touch()
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            async def awaited(*given: Any, **named: Any) -> Any:
                self.pass_by("before")
                result = await function(*given, **named)
                self.pass_by("after")
                return result

            return awaited

        def called(*given: Any, **named: Any) -> Any:
            self.pass_by("before")
            result = function(*given, **named)
            self.pass_by("after")
            return result

        return called


class _Finder(MetaPathFinder):
    """Lets others find the module, and wraps the function once it is loaded."""

    def __init__(self, module: str, path: str, death: _Death) -> None:
        self._module = module
        self._path = path.split(".")
        self._death = death

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._module:
            return None
        others = [one for one in sys.meta_path if one is not self]
        found = (one.find_spec(name, path, target) for one in others)
        spec = next((one for one in found if one is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Wrapping(spec.loader, self._path, self._death)
        return spec


class _Wrapping(Loader):
    def __init__(self, loader: Loader, path: Sequence[str], death: _Death) -> None:
        self._loader = loader
        self._path = path
        self._death = death

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        *owners, name = self._path
        holder: Any = module
        for owner in owners:
            holder = getattr(holder, owner)
        setattr(holder, name, self._death.around(getattr(holder, name)))


def _prepare(point: str) -> None:
    name, when, passages = point.split("/")
    module, _, path = POINTS[name].partition(":")
    sys.meta_path.insert(0, _Finder(module, path, _Death(when, int(passages))))


if "HEADWATER_POINT" in os.environ:
    _prepare(os.environ["HEADWATER_POINT"])
