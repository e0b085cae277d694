"""Steps: what the pipeline file says about each."""

from typing import Literal

from msgspec import Struct

from domain.data.promise import Promise, Strictness
from domain.pipeline.limits import Limits
from domain.pipeline.rules import Cast, CleanRules, QualityRules, named_by
from domain.pipeline.sinks import Sink
from domain.pipeline.units import ByteSize, Duration


class Retry(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a failed attempt is tried again."""

    attempts: int = 1
    initial: Duration = Duration("1s")
    max: Duration = Duration("60s")
    multiplier: float = 2.0


class _Step(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    id: str
    checks: QualityRules = QualityRules()
    """What the output must keep before anybody sees it."""
    retry: Retry | None = None
    timeout: Duration | None = None
    memory: ByteSize | None = None
    description: str = ""


class Ingest(_Step, frozen=True, kw_only=True, tag_field="kind", tag="ingest"):
    """Reads a source."""

    source: str
    allow_empty: bool = False
    limits: Limits | None = None


class Clean(_Step, frozen=True, kw_only=True, tag_field="kind", tag="clean"):
    """Removes, changes and renames by rules, each of which is counted."""

    input: str
    rules: CleanRules
    limits: Limits | None = None


class Transform(_Step, frozen=True, kw_only=True, tag_field="kind", tag="transform"):
    """A query or a Python function over the steps before it. Exactly one of `sql`, `sql_file` and
    `python` is given."""

    input: str = ""
    inputs: tuple[str, ...] | dict[str, str] = ()
    """Steps it reads, or alias → step. Binding writes what a query reads in here."""
    sql: str = ""
    sql_file: str = ""
    python: str = ""
    """`module:function`."""
    keeps: str | tuple[str, ...] | dict[str, Promise] = ()
    """Inputs each of whose rows reaches the result exactly once, or input → how often."""
    ledger: Strictness | None = None
    """Whether rows that find no match fail the step; what the pipeline says if left out."""

    @property
    def promises(self) -> dict[str, Promise]:
        """Input's name → what is promised about its rows."""
        if isinstance(self.keeps, dict):
            return {**self.keeps}
        names = (self.keeps,) if isinstance(self.keeps, str) else self.keeps
        return dict.fromkeys(names, "exactly_once")

    @property
    def aliases(self) -> dict[str, str]:
        """The name under which each input is read → the step's id."""
        if isinstance(self.inputs, dict):
            return {**self.inputs}
        steps = self.inputs or ((self.input,) if self.input else ())
        return {step: step for step in steps}


class Check(_Step, frozen=True, kw_only=True, tag_field="kind", tag="check"):
    """Lets its input pass only if the rules are kept."""

    input: str
    rules: QualityRules


class Validate(_Step, frozen=True, kw_only=True, tag_field="kind", tag="validate"):
    """Holds its input against a contract."""

    input: str
    contract: str
    """The contract's file, and `#TABLE` behind it where the file has several."""
    on_violation: Literal["fail", "quarantine", "warn"] = "fail"
    limits: Limits | None = None


class Store(_Step, frozen=True, kw_only=True, tag_field="kind", tag="store"):
    """Writes its input to a destination."""

    input: str
    sink: Sink
    mode: Literal["replace", "append"] = "replace"
    """`replace`: the destination holds these rows. `append`: it is a folder with a part for each
    slice, and this run's slice holds these rows."""
    slice: tuple[str, ...] = ()
    """Params whose values tell one slice from another; all params where none is named."""
    order_by: tuple[str, ...] = ()
    allow_empty: bool = False


Step = Ingest | Validate | Clean | Transform | Check | Store


def kind_of(step: Step) -> str:
    """The step's `kind` in the file."""
    return str(step.__struct_config__.tag)


def inputs_of(step: Step) -> dict[str, str]:
    """The name under which each input is read → the id of the step that makes it."""
    match step:
        case Ingest():
            return {}
        case Transform():
            return step.aliases
        case Validate() | Clean() | Check() | Store():
            return {step.input: step.input}


def sets_apart(step: Step) -> bool:
    """Whether rows of the step's input may be set apart."""
    match step:
        case Validate():
            return step.on_violation == "quarantine"
        case Clean():
            return any(isinstance(one, Cast) and one.on_error == "quarantine" for one in step.rules)
        case _:
            return False


def named_by_rules(step: Step) -> tuple[str, ...]:
    """Ids of the other steps against whose rows the step's rules hold its own."""
    rules = (*step.rules, *step.checks) if isinstance(step, Check) else step.checks
    named = [name for rule in rules for name in named_by(rule) if name != step.id]
    return tuple(dict.fromkeys(named))


def lookups_of(step: Step) -> tuple[str, ...]:
    """Those of them that are no inputs of the step."""
    inputs = inputs_of(step).values()
    return tuple(name for name in named_by_rules(step) if name not in inputs)


def needs_of(step: Step) -> tuple[str, ...]:
    """Ids of all steps that must have succeeded before this one."""
    return tuple(dict.fromkeys((*inputs_of(step).values(), *lookups_of(step))))
