"""The tracer of columns, for the processes that carry out steps."""

from collections.abc import Mapping

from commands.steps.ports import Tracer
from domain.data.lineage import ColumnEdge
from domain.pipeline.steps import Step


class ColumnTracer(Tracer):
    """Traces columns with the SQL parser, which is loaded with the first step that needs it."""

    def trace(
        self, step: Step, schemas: Mapping[str, Mapping[str, str]], sql: str
    ) -> tuple[ColumnEdge, ...]:
        from adapters.engines.lineage.columns import trace_columns

        return trace_columns(step, schemas, sql)
