"""200,000 broken contracts and pipeline files: no crash, and every mistake has a place and words.

A failure prints the seed number of its input; the same number makes the same inputs.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from adapters.pipelinefile.contracts import read_contract
from adapters.pipelinefile.document import Document, Mistake, Unreadable, with_step_ids
from adapters.pipelinefile.yamlfile import read_yaml
from domain.data.term import columns_of, describe
from domain.pipeline.contracts import InvalidContract, examine_contract
from domain.pipeline.problems import Problem
from domain.pipeline.spec import decode_spec, encode_spec, examine
from tests.fuzz.mutation import Mutator
from tests.fuzz.seeds import CONTRACT, CONTRACT_WORDS, PIPELINE, PIPELINE_WORDS

values_of_each = 70_000
texts_of_each = 30_000
"""Of contracts and of pipelines: 200,000 together, in less than a minute."""

from_one_seed = 1_000


def each(count: int, words: list[str], tried: Callable[[Mutator], None]) -> None:
    """Try `count` inputs; a failure says where to begin again."""
    for seed in range(count // from_one_seed):
        mutator = Mutator(seed, words)
        for _ in range(from_one_seed):
            try:
                tried(mutator)
            except Exception as error:
                raise AssertionError(f"seed {seed}") from error


def hold_contract(value: Any) -> None:
    """Values are a contract whose terms can be told, or mistakes."""
    contracts, problems = examine_contract(value, "c.yaml", lambda _: 1)
    assert all(problem.message for problem in problems)
    if not problems:
        for contract in contracts:
            names = {column.name for column in contract.columns}
            for term in contract.terms:
                assert names.issuperset(columns_of(term))
                assert describe(term)


def hold_pipeline(value: Any) -> None:
    """Values are a pipeline that can be written and read again, or mistakes."""
    spec, problems = examine(value)
    assert (spec is None) == bool(problems)
    assert all(problem.message for problem in problems)
    if spec is not None:
        assert decode_spec(encode_spec(spec)) == spec


def contract_problems(file: str, text: bytes) -> tuple[Problem, ...]:
    """What is wrong with a contract's text."""
    try:
        read_contract(file, "", text.decode("utf-8", "replace"))
    except InvalidContract as error:
        return error.problems
    return ()


def pipeline_read(text: bytes) -> Document | tuple[Mistake, ...]:
    """The document that a text is, or its mistakes."""
    try:
        return with_step_ids(read_yaml(text.decode("utf-8", "replace")))
    except Unreadable as error:
        return error.mistakes


def test_values_of_contracts() -> None:
    each(values_of_each, CONTRACT_WORDS, lambda mutator: hold_contract(mutator.values(CONTRACT)))


def test_values_of_pipelines() -> None:
    each(values_of_each, PIPELINE_WORDS, lambda mutator: hold_pipeline(mutator.values(PIPELINE)))


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_texts_of_contracts(suffix: str) -> None:
    text = (yaml.safe_dump(CONTRACT) if suffix == "yaml" else json.dumps(CONTRACT)).encode()

    def tried(mutator: Mutator) -> None:
        for problem in contract_problems(f"c.{suffix}", mutator.text(text)):
            line = problem.path.partition(" ")[0].removeprefix(f"c.{suffix}:")
            assert int(line) >= 1
            assert problem.message

    each(texts_of_each // 2, CONTRACT_WORDS, tried)


def test_texts_of_pipelines() -> None:
    text = yaml.safe_dump(PIPELINE).encode()

    def tried(mutator: Mutator) -> None:
        read = pipeline_read(mutator.text(text))
        if isinstance(read, Document):
            hold_pipeline(read.value)
        else:
            assert all(one.line >= 1 and one.message for one in read)

    each(texts_of_each, PIPELINE_WORDS, tried)
