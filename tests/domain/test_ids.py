"""Names of streams."""

from uuid import UUID

import pytest

from domain.errors import Malformed
from domain.ids import StreamId, parse_stream, pipeline_stream, run_stream

RUN = UUID("0195a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")


def test_a_stream_is_written_and_read_back() -> None:
    assert str(run_stream(RUN)) == "run/0195a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"
    for stream in (run_stream(RUN), pipeline_stream("flights")):
        assert parse_stream(str(stream)) == stream
        assert hash(parse_stream(str(stream))) == hash(stream)


def test_a_pipeline_has_one_stream_for_ever() -> None:
    assert pipeline_stream("flights") == StreamId(
        "pipeline", UUID("36c60f8e-99b3-55e0-8a4d-573e05c17ebd")
    )
    assert pipeline_stream("flights") != pipeline_stream("flight")


@pytest.mark.parametrize("text", ["", "run", "run/", "run/7", f"walk/{RUN}", str(RUN)])
def test_other_words_are_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="stream id"):
        parse_stream(text)
