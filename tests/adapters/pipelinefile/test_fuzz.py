"""Whatever a file holds, the answer is a document or a mistake with a line; never a traceback."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.pipelinefile.document import Document, Unreadable, with_step_ids
from adapters.pipelinefile.jsonfile import read_json
from adapters.pipelinefile.tomlfile import read_toml
from adapters.pipelinefile.yamlfile import read_yaml
from domain.pipeline.spec import decode_spec, encode_spec, examine

_words = st.sampled_from(
    [*"{}[]:,-&*!|>%@`\"'#?~\n\n\n  \t=.", "<<: ", "steps", "id", "kind", "ingest", "clean",
     "rules", "pipeline: p", "sources", "- ",
     ": ", "&a ", "*a", "!!str ", "null", "1", "---\n", "...", "é"]
)  # fmt: skip
_texts = st.one_of(st.text(max_size=200), st.lists(_words, max_size=60).map("".join))
_bounded = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("read", [read_yaml, read_json, read_toml])
def test_any_text_is_a_document_or_a_mistake(read: Callable[[str], Document]) -> None:
    @_bounded
    @given(_texts)
    def holds(text: str) -> None:
        try:
            document = with_step_ids(read(text))
        except Unreadable as error:
            mistakes = error.mistakes
        else:
            mistakes = ()
            assert all(line >= 1 for line in document.lines.values())
            examine(document.value)
        assert all(mistake.line >= 1 and mistake.message for mistake in mistakes)

    holds()


_key_words = """
    pipeline params defaults parallel sources steps id kind input inputs rules checks sql sink path
    mode retry attempts timeout memory columns nulls drop_nulls deduplicate cast rename not_null
    unique range pattern row_count min max type default keeps x
"""
_leaf_words = "ingest clean transform check store csv parquet integer 1s 16MiB a p"
_keys = st.sampled_from(_key_words.split())
_leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 99), st.floats(allow_nan=False), st.just("csv"),
    st.sampled_from(_leaf_words.split()),
)  # fmt: skip
_values = st.recursive(
    _leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_keys, inner, max_size=5)),
    max_leaves=25,
)


@_bounded
@given(st.dictionaries(_keys, _values, max_size=6))
def test_any_values_are_a_spec_or_problems(value: dict[str, object]) -> None:
    spec, problems = examine(value)
    assert (spec is None) == bool(problems)
    if spec is not None:
        assert decode_spec(encode_spec(spec)) == spec
