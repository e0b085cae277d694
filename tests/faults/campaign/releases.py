"""The next version of Headwater, made here: a copy of its packages, changed in a few places."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

PACKAGES = ("domain", "commands", "projections", "adapters", "runtime")
NEXT = "99.0.0"
"""Its number, which stands in all that it writes."""

_ROOT = Path(__file__).parents[3]


class Patch(Struct, frozen=True):
    """One change of one file."""

    file: str
    old: str
    new: str


FIELDS: Sequence[Patch] = (
    # Two facts of every run have a field more, one decided by commands and one told by steps.
    Patch(
        "domain/run/events.py",
        'only a report with this lease counts from now on."""\n\n',
        'only a report with this lease counts from now on."""\n\n    release: str = ""\n',
    ),
    Patch(
        "domain/run/aggregate.py",
        "    return StepStarted(\n",
        f'    return StepStarted(\n        release="{NEXT}",\n',
    ),
    Patch(
        "domain/run/aggregate.py",
        "lease=1, worker=hands.worker))",
        f'lease=1, worker=hands.worker, release="{NEXT}"))',
    ),
    Patch(
        "domain/run/events.py", '    key: str = ""\n', '    made_by: str = ""\n    key: str = ""\n'
    ),
    Patch(
        "runtime/workers/step.py",
        "                outcome = await doing.result()\n",
        "                outcome = await doing.result()\n"
        f'                made = msgspec.structs.replace(outcome.outcome, made_by="{NEXT}")\n'
        "                outcome = msgspec.structs.replace(outcome, outcome=made)\n",
    ),
    # Claims, reports, tasks, work and questions have one, too.
    Patch(
        "commands/catalog.py",
        '"""`run.claim`."""\n\n',
        '"""`run.claim`."""\n\n    release: str = ""\n',
    ),
    Patch(
        "runtime/workers/step.py",
        '            "worker": self._worker,\n',
        f'            "worker": self._worker,\n            "release": "{NEXT}",\n',
    ),
    Patch(
        "commands/catalog.py",
        '"""`run.report`."""\n\n',
        '"""`run.report`."""\n\n    release: str = ""\n',
    ),
    Patch(
        "runtime/workers/report.py",
        '        "then": then,\n',
        f'        "release": "{NEXT}",\n        "then": then,\n',
    ),
    Patch(
        "commands/ports.py",
        "    correlation_id: UUID | None = None\n\n\nclass TaskQueue(",
        '    correlation_id: UUID | None = None\n    release: str = ""\n\n\nclass TaskQueue(',
    ),
    Patch(
        "adapters/jetstream/tasks.py",
        "_encoder.encode(task)",
        f'_encoder.encode(msgspec.structs.replace(task, release="{NEXT}"))',
    ),
    Patch(
        "commands/steps/work.py",
        "    ahead: tuple[StepAhead, ...] = ()\n",
        '    release: str = ""\n    ahead: tuple[StepAhead, ...] = ()\n',
    ),
    Patch(
        "commands/answers.py",
        "        ahead=tuple(\n",
        f'        release="{NEXT}",\n        ahead=tuple(\n',
    ),
    Patch(
        "runtime/wiring/doors.py",
        "    attempt: int\n    lease: int\n",
        '    attempt: int\n    lease: int\n    release: str = ""\n',
    ),
    Patch(
        "adapters/jetstream/client.py",
        '"attempt": attempt, "lease": lease}',
        f'"attempt": attempt, "lease": lease, "release": "{NEXT}"}}',
    ),
)
"""Fields that join with a default: what every release may do."""

OLD_TAG, NEW_TAG = "run.step_scheduled.v1", "run.step_scheduled.v2"

TAG: Sequence[Patch] = (
    *FIELDS,
    Patch("domain/catalog.py", f'        "{OLD_TAG}":', f'        "{NEW_TAG}":'),
    Patch(
        "domain/catalog.py",
        '        "run.failed.v1": run.RunFailed,\n    }\n',
        '        "run.failed.v1": run.RunFailed,\n    },\n'
        f'    {{"{OLD_TAG}": Upcast("{NEW_TAG}", dict)}},\n',
    ),
)
"""And an event that is written under a new tag, which old code does not know."""


def make(folder: Path, patches: Sequence[Patch]) -> dict[str, str]:
    """Make the next version in a folder; returns what a process needs in its environment to run it.

    Raises `AssertionError` where a patch does not fit.
    """
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_ROOT / package, folder / package, ignore=ignored)
    for patch in patches:
        path = folder / patch.file
        text = path.read_text()
        assert text.count(patch.old) == 1, f"not once in {patch.file}: {patch.old!r}"
        path.write_text(text.replace(patch.old, patch.new))
    told = folder / f"headwater-{NEXT}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.4\nName: headwater\nVersion: {NEXT}\n")
    return {"PYTHONPATH": str(folder)}
