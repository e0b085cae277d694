"""Named queries: the `.sql` files beside this one, each query behind its own name."""

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from adapters.readmodels.dialect import Dialect
from domain.errors import Defect, NotFound

_MARK = "-- name: "


class NamedQueries:
    """SQL by name. Arguments are bound as `:name`, never written into the text."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self._texts)

    def text(self, name: str) -> str:
        """The SQL of a query; raises `NotFound`."""
        try:
            return self._texts[name]
        except KeyError:
            raise NotFound(f"there is no query named {name!r}") from None


def load(dialect: Dialect) -> NamedQueries:
    """All queries of this package's `sql`, those of the dialect's own folder before all others."""
    folder = files(__package__).joinpath("sql")
    return NamedQueries({**_read(folder), **_read(folder.joinpath(dialect.name))})


def _read(folder: Traversable) -> dict[str, str]:
    texts: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.is_file():
            continue
        for part in file.read_text(encoding="utf-8").split(_MARK)[1:]:
            name, _, text = part.partition("\n")
            if name.strip() in texts:
                raise Defect(f"two queries are named {name.strip()!r}")
            texts[name.strip()] = text.strip().rstrip(";")
    return texts
