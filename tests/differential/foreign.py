"""Verdicts of `datacontract-cli`. Run in an environment of its own: its engine is an older one.

Reads a JSON list of contract files from standard input, and prints a JSON object: the tool and its
engine with their versions, and a list with one object for each file: column (or "" for the table)
→ whether all of its terms are kept.
"""

import json
import logging
import sys
from importlib.metadata import version

from datacontract.data_contract import DataContract  # type: ignore[import-not-found,unused-ignore]

_OF_THE_SHAPE = {"field_is_present", "field_type", "field_physical_type"}


def main() -> None:
    """All of them."""
    logging.disable(logging.CRITICAL)
    said = {
        "tool": f"datacontract-cli {version('datacontract-cli')}",
        "engine": f"duckdb {version('duckdb')}",
        "verdicts": [verdicts(path) for path in json.load(sys.stdin)],
    }
    print(json.dumps(said))  # noqa: T201


def verdicts(path: str) -> dict[str, bool]:
    """Of one contract on the data that its server names."""
    kept: dict[str, bool] = {}
    for check in DataContract(data_contract_file=path, server="local").test().checks:
        if check.type in _OF_THE_SHAPE or check.model is None:
            continue
        place = check.field or ""
        kept[place] = kept.get(place, True) and check.result == "passed"
    return kept


if __name__ == "__main__":
    main()
