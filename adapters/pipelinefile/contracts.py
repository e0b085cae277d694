"""Contracts as people write them: the text of an Open Data Contract Standard file."""

from collections.abc import Mapping

from msgspec.structs import replace

from adapters.pipelinefile.document import Unreadable
from adapters.pipelinefile.places import nearest
from domain.data.contract import Contract
from domain.limits import definition_bytes_max
from domain.pipeline.contracts import InvalidContract, chosen, examine_contract
from domain.pipeline.problems import Problem


def read_contract(file: str, table: str, text: str) -> Contract:
    """The contract for one table of the file called `file`; `table` may be empty where it has one.

    Raises `InvalidContract` with every mistake, each with file and line.
    """
    if len(text) > definition_bytes_max:
        message = f"{len(text)} characters, more than {definition_bytes_max}"
        raise InvalidContract([Problem(path=f"{file}:1", message=message)])
    from adapters.pipelinefile.jsonfile import read_json  # most steps need no parser
    from adapters.pipelinefile.yamlfile import read_yaml

    read = read_json if file.lower().endswith(".json") else read_yaml
    try:
        document = read(text)
    except Unreadable as error:
        raise InvalidContract(
            [
                Problem(
                    path=f"{file}:{one.line} {one.path}".rstrip(),
                    message=one.message,
                    hint=_HINT if one.message == "the file is empty" else one.hint,
                )
                for one in error.mistakes
            ]
        ) from error
    contracts, problems = examine_contract(
        document.value, file, lambda path: nearest(document.lines, path)
    )
    if problems:
        placed = [(nearest(document.lines, one.path), one) for one in problems]
        raise InvalidContract(
            [
                replace(one, path=f"{file}:{line} {one.path}".rstrip())
                for line, one in sorted(placed, key=lambda pair: pair[0])
            ]
        )
    return chosen(contracts, table, file)


_HINT = "a contract starts with `apiVersion: v3.2.0` and `kind: DataContract`"


def write_contract(values: Mapping[str, object]) -> str:
    """The YAML text of a contract's plain values, a property to a line where it fits."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Lists stand inside of their keys, as people write them."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            super().increase_indent(flow, False)

    return yaml.dump(
        values,
        Dumper=Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=False,
    )
