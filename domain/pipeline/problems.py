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
    details = [{"path": one.path, "message": one.message, "hint": one.hint} for one in problems]
    return Rejection("invalid_pipeline", message, {"problems": details})
