"""Exit codes, and how an error becomes one."""

from collections.abc import Iterator
from enum import IntEnum

from domain.errors import (
    Conflict,
    Defect,
    HeadwaterError,
    Malformed,
    NotFound,
    Rejection,
    TimedOut,
    TooLarge,
    Unavailable,
)


class Exit(IntEnum):
    """What a script can rely on."""

    DONE = 0
    FAILED = 1
    """The run or the check failed, or the run was cancelled."""
    USAGE = 2
    """The command line or a file is not right."""
    NOT_FOUND = 3
    REFUSED = 4
    """A rule, or a missing right."""
    CONFLICT = 5
    TIMEOUT = 6
    UNREACHABLE = 7
    DEFECT = 70
    """Headwater's own mistake; a report file says more."""
    INTERRUPTED = 130


class Usage(Malformed):
    """The command line is not right."""


_FAILURES: tuple[tuple[type[HeadwaterError], Exit], ...] = (
    (NotFound, Exit.NOT_FOUND),
    (Malformed, Exit.USAGE),
    (TooLarge, Exit.USAGE),
    (Conflict, Exit.CONFLICT),
    (TimedOut, Exit.TIMEOUT),
    (Unavailable, Exit.UNREACHABLE),
    (Defect, Exit.DEFECT),
)

_REJECTIONS = {
    "invalid_pipeline": Exit.USAGE,
    "invalid_contract": Exit.USAGE,
    "malformed": Exit.USAGE,
    "too_large": Exit.USAGE,
    "invalid_params": Exit.USAGE,
    "not_found": Exit.NOT_FOUND,
    "revision_conflict": Exit.CONFLICT,
    "conflict": Exit.CONFLICT,
    "command_id_reused": Exit.CONFLICT,
    "timeout": Exit.TIMEOUT,
    "unavailable": Exit.UNREACHABLE,
    "storage_full": Exit.UNREACHABLE,
    "defect": Exit.DEFECT,
}


def exit_of(error: BaseException) -> Exit:
    """The exit code that tells of `error`."""
    if isinstance(error, Rejection):
        if error.code.endswith("_not_found"):
            return Exit.NOT_FOUND
        return _REJECTIONS.get(error.code, Exit.REFUSED)
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    return next((code for kind, code in _FAILURES if isinstance(error, kind)), Exit.DEFECT)


def exit_of_run(status: str) -> Exit:
    """The exit code that tells how a run has ended."""
    return Exit.DONE if status == "completed" else Exit.FAILED


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group of groups, or the error itself."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def main_cause(error: BaseException) -> BaseException:
    """The one to tell of: a defect before all, else the first."""
    found = list(leaves(error))
    return next((one for one in found if exit_of(one) is Exit.DEFECT), found[0])
