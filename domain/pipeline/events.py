"""The facts of a pipeline, as stored. Fields may join with a default; none goes or is renamed."""

from msgspec import Raw, Struct


class Definition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A revision whole: everything a worker needs to run it, found again by `bundle`."""

    bundle: str
    """SHA-256 of the canonical JSON of spec and files, in hexadecimal."""
    spec: Raw
    """The pipeline file as canonical JSON (`domain.pipeline.spec.PipelineSpec`)."""
    files: dict[str, str] = {}
    """Contracts, SQL files and Python modules it names: path relative to `root` → text."""
    root: str = ""
    """Folder that relative paths start from."""
    env: str = ""
    """The project's environment that it was made for; empty where none was chosen."""


class PipelineRegistered(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first revision of a pipeline, or the first after it was retired."""

    pipeline: str
    revision: int
    draft: bool = False
    """A draft can be run and never becomes active by itself."""
    definition: Definition
    warnings: tuple[str, ...] = ()
    """What binding found worth telling."""
    project: str = ""
    """The project that the name belongs to from now on; empty where it belongs to none."""


class PipelineRevised(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another definition."""

    pipeline: str
    revision: int
    draft: bool = False
    definition: Definition
    warnings: tuple[str, ...] = ()
    project: str = ""
    """The project that the name belongs to from now on; empty where nothing changed in that."""


class PipelinePaused(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """No run may start."""

    pipeline: str
    reason: str = ""


class PipelineResumed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Runs may start again."""

    pipeline: str
    reason: str = ""


class PipelineRetired(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Out of use; its history stays, and registering the name revives it."""

    pipeline: str
    reason: str = ""


PipelineEvent = (
    PipelineRegistered | PipelineRevised | PipelinePaused | PipelineResumed | PipelineRetired
)
