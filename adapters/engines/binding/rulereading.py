"""Which other steps the rules of a step look at, found in their words."""

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from adapters.engines.sql.queries import tables_of
from domain.errors import Malformed
from domain.pipeline.problems import Problem
from domain.pipeline.rules import QualityRule, QualityRules, References, Sql
from domain.pipeline.shape import joined
from domain.pipeline.steps import Check, Step

NoStep = Callable[[str, str], Problem]
"""A name and a path → what is said of a step that is not there."""

S = TypeVar("S", bound=Step)


class RuleReading:
    """Reads rules; what is wrong with one is added to `problems`."""

    def __init__(self, ids: list[str], problems: list[Problem], no_step: NoStep) -> None:
        self._ids = ids
        self._problems = problems
        self._no_step = no_step

    def read(self, step: Step) -> Step:
        """The step, with what the queries of its rules read written into them."""
        base = joined("steps", step.id)
        if step.checks:
            step = replace(step, checks=self._rules(step, step.checks, joined(base, "checks")))
        if isinstance(step, Check):
            step = replace(step, rules=self._rules(step, step.rules, joined(base, "rules")))
        return step

    def _rules(self, step: Step, rules: QualityRules, path: str) -> QualityRules:
        return QualityRules(
            self._rule(step, rule, joined(path, place)) for place, rule in enumerate(rules)
        )

    def _rule(self, step: Step, rule: QualityRule, path: str) -> QualityRule:
        if isinstance(rule, References) and rule.to not in self._ids:
            self._problems.append(self._no_step(rule.to, joined(path, "to")))
        if not isinstance(rule, Sql) or not rule.is_query:
            return rule
        at = joined(path, "sql")
        try:
            read = tables_of(rule.sql)
        except Malformed as error:
            self._problems.append(Problem(path=at, message=error.message, hint=error.hint))
            return rule
        names = dict.fromkeys((*rule.inputs, *(read or ())))
        names.pop(step.id, None)
        for name in names:
            if name not in self._ids:
                self._problems.append(self._no_step(name, at))
        return replace(rule, inputs=tuple(names))
