"""Times and sizes as people write them: `30s`, `512MiB`."""

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
DURATION = r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)"
BYTE_SIZE = r"([0-9]{1,12}(?:\.[0-9]{1,3})?)(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)"


class Duration(str):
    """A time such as `500ms`, `30s`, `5m`, `2h`, `1d`; `ValueError` for anything else."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Duration":
        if re.fullmatch(DURATION, text) is None:
            raise ValueError(f"{text!r} is no time; write one as 500ms, 30s, 5m, 2h or 1d")
        return super().__new__(cls, text)

    @property
    def seconds(self) -> float:
        """The same in seconds."""
        amount, unit = re.fullmatch(DURATION, self).groups()  # type: ignore[union-attr] # checked
        return float(amount) * _SECONDS[unit]


class ByteSize(str):
    """A size such as `512MiB` or `2GB`; `ValueError` for anything else."""

    __slots__ = ()

    def __new__(cls, text: str) -> "ByteSize":
        if re.fullmatch(BYTE_SIZE, text) is None:
            raise ValueError(f"{text!r} is no size; write one as 512MiB or 2GB")
        return super().__new__(cls, text)

    @property
    def bytes(self) -> int:
        """The same in bytes."""
        amount, unit = re.fullmatch(BYTE_SIZE, self).groups()  # type: ignore[union-attr] # checked
        return int(float(amount) * _BYTES[unit])


def spoken(seconds: float) -> str:
    """A time in its two largest units, such as `2d 3h`; below a second `0s`."""
    parts, rest = [], int(seconds)
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_SECONDS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
