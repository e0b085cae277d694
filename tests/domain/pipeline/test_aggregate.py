"""Revisions of a pipeline, and whether runs may start."""

from itertools import count

import pytest
from msgspec import Raw

from domain.errors import Rejection
from domain.limits import drafts_max
from domain.pipeline.aggregate import PIPELINE, Active, Paused, PipelineState, runnable
from domain.pipeline.commands import (
    PausePipeline,
    PipelineCommand,
    RegisterPipeline,
    ResumePipeline,
    RetirePipeline,
)
from domain.pipeline.events import (
    Definition,
    PipelineEvent,
    PipelinePaused,
    PipelineRegistered,
    PipelineResumed,
    PipelineRetired,
    PipelineRevised,
)
from tests.domain.specification import Given

Pipeline = Given[PipelineState, PipelineCommand, PipelineEvent]


def definition(bundle: str) -> Definition:
    return Definition(bundle=bundle * 64, spec=Raw(b'{"pipeline":"flights"}'), root="/data")


def register(bundle: str, *, draft: bool = False, expected: int | None = None) -> RegisterPipeline:
    return RegisterPipeline(
        pipeline="flights",
        definition=definition(bundle),
        draft=draft,
        expected_revision=expected,
    )


def registered(bundle: str, revision: int, *, draft: bool = False) -> PipelineRegistered:
    return PipelineRegistered(
        pipeline="flights", revision=revision, draft=draft, definition=definition(bundle)
    )


def revised(bundle: str, revision: int, *, draft: bool = False) -> PipelineRevised:
    return PipelineRevised(
        pipeline="flights", revision=revision, draft=draft, definition=definition(bundle)
    )


def pipeline_after(*commands: PipelineCommand) -> Pipeline:
    pipeline: Pipeline = Given(PIPELINE)
    for command in commands:
        pipeline = pipeline.when(command).and_so()
    return pipeline


def numbers(pipeline: Pipeline, revision: int | None = None) -> tuple[int, bool]:
    found, draft = runnable(pipeline.state, revision)
    return found.number, draft


def refusal(pipeline: Pipeline, revision: int | None = None) -> str:
    with pytest.raises(Rejection) as caught:
        runnable(pipeline.state, revision)
    return caught.value.code


def test_the_first_definition_registers() -> None:
    Given(PIPELINE).when(register("a")).then(registered("a", 1))


def test_another_definition_revises() -> None:
    pipeline_after(register("a")).when(register("b")).then(revised("b", 2))


def test_the_same_definition_changes_nothing() -> None:
    pipeline_after(register("a")).when(register("a")).nothing()
    pipeline_after(register("a"), register("b")).when(register("b")).nothing()


def test_going_back_to_an_earlier_definition_is_a_new_revision() -> None:
    pipeline_after(register("a"), register("b")).when(register("a")).then(revised("a", 3))


def test_a_draft_has_a_number_and_does_not_become_active() -> None:
    pipeline = pipeline_after(register("a"))
    pipeline.when(register("b", draft=True)).then(revised("b", 2, draft=True))
    pipeline = pipeline.when(register("b", draft=True)).and_so()
    assert numbers(pipeline) == (1, False)
    assert numbers(pipeline, 2) == (2, True)


def test_a_known_draft_changes_nothing() -> None:
    pipeline = pipeline_after(register("a"), register("b", draft=True))
    pipeline.when(register("b", draft=True)).nothing()
    pipeline.when(register("a", draft=True)).nothing()


def test_a_draft_becomes_active_under_a_new_number() -> None:
    pipeline = pipeline_after(register("a"), register("b", draft=True))
    pipeline.when(register("b")).then(revised("b", 3))
    assert numbers(pipeline.when(register("b")).and_so()) == (3, False)


def test_a_pipeline_may_begin_as_a_draft() -> None:
    pipeline = pipeline_after(register("a", draft=True))
    assert numbers(pipeline, 1) == (1, True)
    assert refusal(pipeline) == "revision_not_found"
    pipeline.when(register("a")).then(revised("a", 2))


def test_only_the_newest_drafts_can_be_run() -> None:
    bundles = count()
    drafts = [register(f"{next(bundles):02d}", draft=True) for _ in range(drafts_max + 3)]
    pipeline = pipeline_after(*drafts)
    assert refusal(pipeline, 3) == "revision_not_found"
    assert numbers(pipeline, 4) == (4, True)
    assert numbers(pipeline, drafts_max + 3) == (drafts_max + 3, True)


@pytest.mark.parametrize(("expected", "known"), [(0, 0), (1, 1)])
def test_the_expected_revision_is_the_active_one(expected: int, known: int) -> None:
    history = [register(name) for name in "ab"[:known]]
    assert len(pipeline_after(*history).when(register("z", expected=expected)).events) == 1


def test_another_expected_revision_is_a_conflict() -> None:
    Given(PIPELINE).when(register("a", expected=1)).rejected("revision_conflict")
    pipeline = pipeline_after(register("a"), register("b", draft=True))
    refused = pipeline.when(register("c", expected=2)).rejected("revision_conflict")
    assert refused.details == {"revision": 1}
    pipeline.when(register("c", expected=0)).rejected("revision_conflict")


def test_a_paused_pipeline_starts_no_run() -> None:
    pipeline = pipeline_after(register("a"))
    pipeline.when(PausePipeline(reason="audit")).then(
        PipelinePaused(pipeline="flights", reason="audit")
    )
    paused = pipeline.when(PausePipeline(reason="audit")).and_so()
    assert refusal(paused) == "pipeline_paused"
    assert refusal(paused, 1) == "pipeline_paused"
    paused.when(PausePipeline()).nothing()


def test_a_resumed_pipeline_starts_runs() -> None:
    paused = pipeline_after(register("a"), PausePipeline())
    paused.when(ResumePipeline(reason="done")).then(
        PipelineResumed(pipeline="flights", reason="done")
    )
    resumed = paused.when(ResumePipeline()).and_so()
    assert numbers(resumed) == (1, False)
    resumed.when(ResumePipeline()).nothing()


def test_revising_a_paused_pipeline_leaves_it_paused() -> None:
    pipeline = pipeline_after(register("a"), PausePipeline(reason="audit"), register("b"))
    assert isinstance(pipeline.state, Paused)
    assert pipeline.state.reason == "audit"
    assert numbers(pipeline.when(ResumePipeline()).and_so()) == (2, False)


def test_a_retired_pipeline_is_out_of_use() -> None:
    pipeline = pipeline_after(register("a"))
    pipeline.when(RetirePipeline(reason="old")).then(
        PipelineRetired(pipeline="flights", reason="old")
    )
    retired = pipeline.when(RetirePipeline()).and_so()
    assert refusal(retired) == "pipeline_retired"
    for command in (PausePipeline(), ResumePipeline(), RetirePipeline()):
        retired.when(command).rejected("pipeline_retired")


def test_registering_a_retired_name_revives_it_and_numbers_go_on() -> None:
    retired = pipeline_after(register("a"), register("b"), RetirePipeline())
    retired.when(register("b", expected=0)).then(registered("b", 3))
    revived = retired.when(register("b")).and_so()
    assert isinstance(revived.state, Active)
    assert numbers(revived) == (3, False)


def test_a_draft_revives_nothing_of_what_was_active_before() -> None:
    pipeline = pipeline_after(
        register("a"), register("b", draft=True), RetirePipeline(), register("c", draft=True)
    )
    assert refusal(pipeline) == "revision_not_found"
    assert refusal(pipeline, 1) == "revision_not_found"
    assert refusal(pipeline, 2) == "revision_not_found"
    assert numbers(pipeline, 3) == (3, True)


def test_an_unknown_pipeline_is_not_found() -> None:
    unknown: Pipeline = Given(PIPELINE)
    for command in (PausePipeline(), ResumePipeline(), RetirePipeline()):
        unknown.when(command).rejected("pipeline_not_found")
    assert refusal(unknown) == "pipeline_not_found"
