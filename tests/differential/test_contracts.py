"""Contracts: the same verdicts as `datacontract-cli` on generated tables and terms.

What that tool says is a record, made by `make differential`.
"""

import json
from pathlib import Path

from runtime.wiring.contracts import Data, check_contract
from tests.differential.cases import CASES, Case, Verdicts


def ours(case: Case) -> dict[str, bool]:
    """Column (or "" for the table) → whether all of its terms are kept."""
    found = check_contract(str(case.contract), Data(path=case.rows))
    kept: dict[str, bool] = {}
    for term in found["terms"]:
        rule = str(term["rule"])
        inside = rule.partition("(")[2] if not rule.startswith("rowCount") else ""
        column = inside.partition(")")[0].split(":")[0].split(" ")[0]
        kept[column] = kept.get(column, True) and bool(term["passed"])
    return kept


def test_the_same_verdicts(tmp_path: Path) -> None:
    recorded = Verdicts.kept()
    differing = []
    for case in (Case(number, tmp_path) for number in range(CASES)):
        theirs = recorded.cases.get(case.digest)
        assert theirs is not None, "the cases are others now: `make differential`"
        mine = ours(case)
        assert set(mine) == set(theirs)
        terms = json.loads(case.contract.read_bytes())["schema"][0]["properties"]
        said = {one["name"]: one for one in terms}
        differing += [
            f"{case.contract.name} {place}: ours {mine[place]}, theirs {kept}: {said.get(place)}"
            for place, kept in theirs.items()
            if mine[place] != kept
        ]
    assert differing == []


def test_both_verdicts_are_common() -> None:
    kept = [one for verdicts in Verdicts.kept().cases.values() for one in verdicts.values()]
    assert len(kept) > 5 * CASES
    assert 0.2 < sum(kept) / len(kept) < 0.8
