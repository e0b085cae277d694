"""What can be asked of a pipeline, with everything a decision needs given as values."""

from msgspec import Struct

from domain.pipeline.events import Definition


class RegisterPipeline(Struct, frozen=True, kw_only=True):
    """Register a name or revise its definition. Unchanged content makes no new revision."""

    pipeline: str
    definition: Definition
    draft: bool = False
    expected_revision: int | None = None
    """The active revision the caller knows; 0 where it knows of none."""
    warnings: tuple[str, ...] = ()
    """What binding found worth telling."""
    project: str = ""
    """The project that the definition comes from; empty where it comes from none."""
    take_over: bool = False
    """Whether a name that belongs to another project is to belong to this one."""


class PausePipeline(Struct, frozen=True, kw_only=True):
    """Let no run start."""

    reason: str = ""


class ResumePipeline(Struct, frozen=True, kw_only=True):
    """Let runs start again."""

    reason: str = ""


class RetirePipeline(Struct, frozen=True, kw_only=True):
    """Take out of use."""

    reason: str = ""


PipelineCommand = RegisterPipeline | PausePipeline | ResumePipeline | RetirePipeline
