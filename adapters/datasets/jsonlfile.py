# ruff: noqa: S608  # names and literals go through `commands.steps.sql`
"""Files with a JSON object per line. A key that a line has not is null."""

import codecs
import json
from collections.abc import Container, Iterator

import msgspec

from adapters.datasets.jumps import Jumps
from adapters.datasets.packed import hold_packed
from adapters.datasets.reading import Reading, extra_columns, fractions, unpacked
from adapters.datasets.scan import Look, Tally, identity_of
from adapters.datasets.sifting import Texts, sift, text_sieve
from commands.steps.ports import Engine, SourceRead, StepBroken, broken
from commands.steps.quarantine import LINE, REASON, RULE, TEXT
from commands.steps.sql import literal, quoted

_BLANK = (b"", b"\r")
_JSON = "headwater_json"
_KEY, _NULLS, _GAPS = b'":', (b'":null', b'": null'), (b" :", b"\t:")
_MARKS = (_KEY, *_NULLS, *_GAPS)
_NUMBERS = ("BIGINT", "DOUBLE", "DECIMAL")


def read_jsonl(reading: Reading, engine: Engine) -> SourceRead:
    """Read a file whole. What does not fit what was declared of it is set apart."""
    identity_of(reading.path)
    hold_packed(reading.path)
    with Jumps(reading.jumps) as jumps:
        return _read(reading, engine, jumps)


def _read(reading: Reading, engine: Engine, jumps: Jumps) -> SourceRead:
    tally = Tally(quoted=False, marks=_MARKS, jumps=jumps)
    with Look(reading.path, tally) as look:
        in_order = _saved_at_once(reading, engine, look)
        scan = look.result()
        records, rejected = tally.records, 0
        if not in_order or (tally.has_point and _has_fractions(reading, engine)):
            records = _write_texts(reading, jumps)
            rejected = sift(reading, engine, text_sieve(reading, _extracted(reading), ()))
            look.hold()
            in_order = False
        if records > rejected:
            _hold_keys(reading, engine)
        if reading.extra != "drop" and not (in_order and _is_all_known(reading, engine, tally)):
            _hold_extra(reading)
    return reading.seen(scan, jumps, records, rejected)


def _saved_at_once(reading: Reading, engine: Engine, look: Look) -> bool:
    """Whether the engine could read all of the file in one pass."""
    rows = _relation(reading, reading.read_as)
    try:
        engine.save(
            f"select {reading.required} from {rows}", reading.target, large=reading.is_large
        )
    except StepBroken as stopped:
        look.hold()
        if stopped.error.code != "sql_error":
            raise
        return False
    return True


def _relation(reading: Reading, types: dict[str, str]) -> str:
    columns = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in types.items())
    packed = "gzip" if reading.path.endswith(".gz") else "none"
    return (
        f"read_json({literal(reading.path)}, format = 'newline_delimited', auto_detect = false, "
        f"columns = {{{columns}}}, compression = '{packed}')"
    )


def _has_fractions(reading: Reading, engine: Engine) -> bool:
    """Whether a fraction was cut off."""
    if not reading.integers:
        return False
    types = {**reading.sql_types, **dict.fromkeys(reading.integers, "DOUBLE")}
    wrong = fractions(reading.integers)
    return bool(engine.rows(f"select 1 from {_relation(reading, types)} where {wrong} limit 1"))


def _write_texts(reading: Reading, jumps: Jumps) -> int:
    """Write all lines that are not blank, and say how many there are."""
    jumps.begin()
    with Texts(reading.texts, [_JSON], jumps) as texts:
        for line, raw in _lines(reading):
            text = raw.decode(errors="surrogateescape")
            if rule := _fault(raw) or _repeated(raw, reading.types):
                texts.reject(line, *rule, text)
            else:
                texts.add(line, [text])
    return texts.count


def _fault(raw: bytes) -> tuple[str, str] | None:
    """The rule that a line breaks, and how; None for a JSON object."""
    try:
        value = msgspec.json.decode(raw)
    except UnicodeDecodeError:
        return "encoding", "not UTF-8"
    except (msgspec.DecodeError, RecursionError) as error:
        return "json", f"not JSON ({error})"
    return None if isinstance(value, dict) else ("json", "not a JSON object")


def _repeated(raw: bytes, names: Container[str]) -> tuple[str, str] | None:
    """The rule that an object breaks which has one of these keys twice, and how."""
    if raw.count(b":") == len(msgspec.json.decode(raw, type=dict[str, msgspec.Raw])):
        return None
    keys: list[str] = json.loads(raw, object_pairs_hook=_keys, parse_int=str, parse_float=str)
    seen = set[str]()
    for key in keys:
        if key in seen and key in names:
            return "json", f"key `{key}` comes twice"
        seen.add(key)
    return None


def _keys(pairs: list[tuple[str, object]]) -> list[str]:
    return [key for key, _ in pairs]


def _extracted(reading: Reading) -> str:
    """The lines between as a relation with a column of text for each key."""
    fields = ", ".join(
        f"{_field(name, type_)} as {quoted(name)}" for name, type_ in reading.sql_types.items()
    )
    lines = f"(select *, cast({_JSON} as json) as json from read_parquet({literal(reading.texts)}))"
    return f"(select {fields}, {RULE}, {REASON}, {LINE}, {TEXT} from {lines})"


def _field(name: str, type_: str) -> str:
    """A key's value as text, in which the engine finds what it finds in the JSON itself."""
    at = _pointer(name)
    if type_ == "JSON":
        return f"nullif(cast(json -> {at} as varchar), 'null')"
    text = f"json ->> {at}"
    if type_.startswith(_NUMBERS):
        return f"case json -> {at} when 'true' then '1' when 'false' then '0' else {text} end"
    if type_ == "BOOLEAN":
        number = f"cast(cast(try_cast({text} as double) as boolean) as varchar)"
        return (
            f"case when json_type(json, {at}) = 'VARCHAR' then {text} else "
            f"coalesce({number}, {text}) end"
        )
    return text


def _is_all_known(reading: Reading, engine: Engine, tally: Tally) -> bool:
    """Whether the bytes alone prove that no line has a value under a key that is not declared.

    Each key stands before `":`. Where there are no more of these than values in the columns and
    nulls, all of them are known; where there are more, one has to look.
    """
    if any(tally.marked.get(gap) for gap in _GAPS):
        return False
    filled = sum(_filled(reading, engine).values())
    nulls = sum(tally.marked.get(one, 0) for one in _NULLS)
    return tally.marked.get(_KEY, 0) - nulls == filled


def _hold_extra(reading: Reading) -> None:
    """Raise `StepBroken` with the first line that has a value under a key that is not declared."""
    for line, raw in _lines(reading):
        if _fault(raw) is None:
            found = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
            more = [
                name
                for name, value in found.items()
                if name not in reading.types and bytes(value) != b"null"
            ]
            if more:
                raise extra_columns(reading, more, f"{reading.path}:{line}")


def _filled(reading: Reading, engine: Engine) -> dict[str, int]:
    """Column → its values that are not null."""
    names = list(reading.types)
    counts = engine.rows(
        f"select {', '.join(f'count({quoted(name)})' for name in names)} "
        f"from read_parquet({literal(reading.target)})"
    )[0]
    return {name: int(str(count)) for name, count in zip(names, counts, strict=True)}


def _hold_keys(reading: Reading, engine: Engine) -> None:
    """A column that no line knows is missing; one that is null everywhere is not."""
    empty = [name for name, count in _filled(reading, engine).items() if count == 0]
    if not empty:
        return
    there = set[str]()
    for _, raw in _lines(reading):
        if _fault(raw) is None:
            there |= msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).keys()
        if there.issuperset(empty):
            return
    raise broken(
        "missing_column",
        f"column {', '.join(name for name in empty if name not in there)} is in no line",
        where=reading.path,
        hint="capital letters count in the keys of JSON",
    )


def _pointer(name: str) -> str:
    """A path that names one key, whatever it holds."""
    return literal("/" + name.replace("~", "~0").replace("/", "~1"))


def _lines(reading: Reading) -> Iterator[tuple[int, bytes]]:
    """Every line that is not blank, with its number."""
    with unpacked(reading.path) as file:
        for number, text in enumerate(file, start=1):
            line = text.removeprefix(codecs.BOM_UTF8) if number == 1 else text
            if line.rstrip(b"\n") not in _BLANK:
                yield number, line
