"""Accounts of queries for step processes, whose start the SQL parser must not slow down."""

from collections.abc import Collection, Mapping

from commands.steps.tally import Accountant, ColumnsOf, CountedFile, QueryCount


class QueryAccountant(Accountant):
    """Takes queries apart with the SQL parser, which is loaded with the first that needs it."""

    def counts(
        self,
        sql: str,
        inputs: Mapping[str, CountedFile],
        columns: ColumnsOf,
        promised: Collection[str] = (),
        *,
        is_quick: bool = False,
    ) -> QueryCount:
        from adapters.engines.ledger.accounts import counted

        return counted(sql, inputs, columns, promised, is_quick=is_quick)
