"""A small project on disk whose pipeline file is bound as it is written."""

from pathlib import Path
from typing import Any

import msgspec

from adapters.engines.binding.definition import bind
from adapters.pipelinefile.contracts import read_contract
from adapters.pipelinefile.reading import read_pipeline
from commands.ports import Bound
from domain.errors import Rejection


class Project:
    """A folder with `people.csv` (id, name, born, score) and whatever a test adds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(
            "people.csv",
            "id,name,born,score\n1,Ada,1815-12-10,1.5\n2,Grace,1906-12-09,NA\n",
        )

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file below the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def bound(self, text: str, name: str = "p.yaml", roots: tuple[str, ...] = ()) -> Bound:
        """The file read and bound."""
        file = read_pipeline(self.write(name, text), roots)
        try:
            return bind(file.spec, file.files, file.root, (file.root, *roots), read_contract)
        except Rejection as error:
            raise file.placed(error) from error

    def problems(self, text: str, name: str = "p.yaml") -> list[tuple[str, str, str]]:
        """Place, message and hint of all that is wrong with the file."""
        try:
            self.bound(text, name)
        except Rejection as error:
            found = error
        else:
            return []
        assert found.code == "invalid_pipeline"
        told: Any = found.details["problems"]
        assert all(problem["line"] >= 1 for problem in told)
        return [(one["place"], one["message"], one["hint"]) for one in told]


def spec_of(bound: Bound) -> dict[str, Any]:
    """The canonical spec as plain values."""
    spec: dict[str, Any] = msgspec.json.decode(bound.definition.spec)
    return spec


HEAD = """\
pipeline: p
params:
  least: {type: integer, default: 1}
sources:
  people: {kind: csv, path: people.csv, nulls: [NA]}
steps:
  - {id: raw, kind: ingest, source: people}
"""
"""Seven lines, so that the next step begins on line 8."""
