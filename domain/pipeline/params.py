"""Params: typed values that a run is started with."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from math import isfinite
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from domain.errors import Rejection
from domain.pipeline.names import did_you_mean
from domain.run.events import ParamValue

ParamType = Literal["string", "integer", "number", "boolean", "date", "timestamp"]

BUILT_IN = ("run_time", "partition_start", "partition_end")
"""Params that Headwater itself gives."""

_PLACE = re.compile(r"\$\{([a-z][a-z0-9_]*)\}")
_integer_max = 2**63 - 1


class Param(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A param's type, and its value where a run gives none. Without a default it must be given."""

    type: ParamType
    default: ParamValue | UnsetType = UNSET
    description: str = ""


def accepted(param: Param, value: ParamValue) -> ParamValue:
    """`value` as the param's type has it (dates and timestamps stay ISO text).

    Text is read where it comes from a command line. Raises `ValueError`.
    """
    if value is None:
        return None
    return _READERS[param.type](param, value)


def resolve(params: Mapping[str, Param], given: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
    """The value of every param of a run. Raises `Rejection` with code `invalid_params`."""
    problems = [
        {
            "path": f"params.{name}",
            "message": f"there is no param {name!r}",
            "hint": did_you_mean(name, list(params)),
        }
        for name in given
        if name not in params
    ]
    values: dict[str, ParamValue] = {}
    for name, param in params.items():
        value = given.get(name, param.default)
        if value is UNSET:
            problems.append(
                {
                    "path": f"params.{name}",
                    "message": f"param {name!r} has no value",
                    "hint": f"give one: --param {name}=…",
                }
            )
            continue
        try:
            values[name] = accepted(param, value)
        except ValueError as error:
            problems.append({"path": f"params.{name}", "message": str(error), "hint": ""})
    if problems:
        raise Rejection(
            "invalid_params", "; ".join(one["message"] for one in problems), {"problems": problems}
        )
    return values


def places(text: str) -> tuple[str, ...]:
    """Names of the params that `text` asks for as `${name}`."""
    return tuple(dict.fromkeys(_PLACE.findall(text)))


def fill(text: str, values: Mapping[str, ParamValue]) -> str:
    """`text` with each `${name}` replaced. Raises `KeyError` for a name without a value."""
    return _PLACE.sub(lambda found: _text(values[found.group(1)]), text)


def _text(value: ParamValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _no(param: Param, value: ParamValue) -> ParamValue:
    raise ValueError(f"{value!r} is no {param.type}")


def _string(param: Param, value: ParamValue) -> ParamValue:
    return value if isinstance(value, str) else _no(param, value)


def _boolean(param: Param, value: ParamValue) -> ParamValue:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return _no(param, value)


def _integer(param: Param, value: ParamValue) -> ParamValue:
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]{1,19}", value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _integer_max:
        return value
    return _no(param, value)


def _number(param: Param, value: ParamValue) -> ParamValue:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return _no(param, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _no(param, value)
    if isinstance(value, int) and abs(value) > _integer_max:
        return _no(param, value)
    number = float(value)
    return number if isfinite(number) else _no(param, value)


def _iso(param: Param, value: ParamValue) -> ParamValue:
    if not isinstance(value, str):
        return _no(param, value)
    try:
        if param.type == "date":
            return date.fromisoformat(value).isoformat()
        return datetime.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError(f"{value!r} is no {param.type}; write it as ISO 8601 does") from None


_READERS: dict[ParamType, Callable[[Param, ParamValue], ParamValue]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _iso,
    "timestamp": _iso,
}
