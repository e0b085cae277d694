"""What is wrong with a pipeline file."""

from collections.abc import Sequence

from msgspec import Struct

from domain.errors import Malformed, Rejection


class Problem(Struct, frozen=True, kw_only=True):
    """One mistake, where it stands, and what to do about it."""

    path: str
    """Such as `steps.flown.rules[1].keep`; a step without a usable id is `steps[3]`."""
    message: str
    hint: str = ""
    text_line: int = 0
    """For a mistake inside a text (SQL), the line in it, from 1."""


class InvalidSpec(Malformed):
    """A spec that cannot be read; `problems` has all that was found, `path` is the first one's."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(first.message, path=first.path, hint=first.hint)
        self.problems = tuple(problems)


def rejection(problems: Sequence[Problem]) -> Rejection:
    """The answer `invalid_pipeline` with every problem in its details."""
    first = problems[0]
    message = f"{first.path}: {first.message}" if first.path else first.message
    if len(problems) > 1:
        message += f" (and {len(problems) - 1} more)"
    return Rejection("invalid_pipeline", message, {"problems": [_told(one) for one in problems]})


def _told(problem: Problem) -> dict[str, object]:
    told: dict[str, object] = {
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
    }
    return {**told, "text_line": problem.text_line} if problem.text_line else told
