"""Whose a pipeline's name is, and which environment a revision is for."""

import pytest
from msgspec import Raw
from msgspec.structs import replace

from domain.errors import Rejection
from domain.pipeline.aggregate import (
    PIPELINE,
    Active,
    PipelineState,
    Retired,
    runnable,
    runnable_in,
)
from domain.pipeline.commands import PipelineCommand, RegisterPipeline, RetirePipeline
from domain.pipeline.events import (
    Definition,
    PipelineEvent,
    PipelineRegistered,
    PipelineRetired,
    PipelineRevised,
)
from tests.domain.specification import Given

Pipeline = Given[PipelineState, PipelineCommand, PipelineEvent]

SHOP = Definition(bundle="a" * 64, spec=Raw(b'{"pipeline":"flights"}'), root="/shop")
BANK = replace(SHOP, bundle="b" * 64, root="/bank")


def register(
    definition: Definition, project: str, *, draft: bool = False, take_over: bool = False
) -> RegisterPipeline:
    return RegisterPipeline(
        pipeline="flights",
        definition=definition,
        project=project,
        draft=draft,
        take_over=take_over,
    )


def revised(definition: Definition, project: str, *, draft: bool = False) -> PipelineRevised:
    return PipelineRevised(
        pipeline="flights", revision=2, draft=draft, definition=definition, project=project
    )


def owned_by(project: str) -> Pipeline:
    first: Pipeline = Given(PIPELINE)
    return first.when(register(SHOP, project)).and_so()


def owner(pipeline: Pipeline) -> str:
    assert isinstance(pipeline.state, Active | Retired)
    return pipeline.state.revisions.project


def test_the_first_project_owns_the_name() -> None:
    first: Pipeline = Given(PIPELINE)
    first.when(register(SHOP, "shop")).then(
        PipelineRegistered(pipeline="flights", revision=1, definition=SHOP, project="shop")
    )
    assert owner(owned_by("shop")) == "shop"


def test_its_own_project_revises_it() -> None:
    owned_by("shop").when(register(BANK, "shop")).then(revised(BANK, "shop"))


@pytest.mark.parametrize("draft", [False, True])
@pytest.mark.parametrize("project", ["bank", ""])
@pytest.mark.parametrize("definition", [SHOP, BANK])
def test_another_project_is_refused(definition: Definition, project: str, draft: bool) -> None:
    owned_by("shop").when(register(definition, project, draft=draft)).rejected("owned_elsewhere")


def test_a_refusal_tells_the_owner_and_the_way_out() -> None:
    refused = owned_by("shop").when(register(BANK, "bank")).rejected("owned_elsewhere")
    assert "belongs to project 'shop'" in refused.message
    assert refused.details["project"] == "shop"
    assert "--take-over" in str(refused.details["hint"])


@pytest.mark.parametrize("draft", [False, True])
@pytest.mark.parametrize("definition", [SHOP, BANK])
def test_taking_over_makes_it_its_own_even_where_nothing_else_changes(
    definition: Definition, draft: bool
) -> None:
    command = register(definition, "bank", draft=draft, take_over=True)
    owned_by("shop").when(command).then(revised(definition, "bank", draft=draft))
    taken = owned_by("shop").when(command).and_so()
    assert owner(taken) == "bank"
    taken.when(command).nothing()
    taken.when(register(SHOP, "shop")).rejected("owned_elsewhere")


def test_nobody_takes_over_without_a_project_to_own_it() -> None:
    command = register(BANK, "", take_over=True)
    owned_by("shop").when(command).rejected("owned_elsewhere")


def test_a_folder_that_becomes_a_project_with_a_name_keeps_its_pipelines() -> None:
    folder = owned_by("/shop")
    folder.when(register(SHOP, "shop")).then(revised(SHOP, "shop"))
    named = folder.when(register(SHOP, "shop")).and_so()
    assert owner(named) == "shop"
    named.when(register(SHOP, "shop")).nothing()
    folder.when(register(BANK, "shop")).rejected("owned_elsewhere")


def test_a_name_of_nobody_goes_to_the_first_project_that_revises_it() -> None:
    owned_by("").when(register(BANK, "")).then(revised(BANK, ""))
    owned_by("").when(register(SHOP, "shop")).nothing()
    assert owner(owned_by("").when(register(BANK, "bank")).and_so()) == "bank"


def test_a_retired_name_is_free() -> None:
    retired = owned_by("shop").when(RetirePipeline()).and_so()
    revived = PipelineRegistered(pipeline="flights", revision=2, definition=BANK, project="bank")
    retired.when(register(BANK, "bank")).then(revived)
    assert owner(retired.when(register(BANK, "bank")).and_so()) == "bank"
    again = Given(PIPELINE, PipelineRetired(pipeline="flights"))
    assert owner(again) == ""


def test_the_same_text_elsewhere_is_another_definition() -> None:
    moved = replace(SHOP, root="/elsewhere")
    owned_by("shop").when(register(moved, "shop")).then(revised(moved, "shop"))


def test_the_same_text_for_another_environment_is_another_definition() -> None:
    prod = replace(SHOP, env="prod")
    owned_by("shop").when(register(prod, "shop")).then(revised(prod, "shop"))


def test_a_run_asks_for_an_environment_and_gets_no_other() -> None:
    prod: Pipeline = Given(PIPELINE)
    prod = prod.when(register(replace(SHOP, env="prod"), "shop")).and_so()
    revision, _draft = runnable(prod.state, None)
    for env in (None, "prod"):
        runnable_in(revision, env)
    for env in ("dev", ""):
        with pytest.raises(Rejection, match="was made for environment 'prod'") as refused:
            runnable_in(revision, env)
        assert refused.value.code == "env_mismatch"
