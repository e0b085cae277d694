"""checks."""

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from projections.limits import trend_runs_max
from runtime.cli.check_view import trend_columns
from runtime.cli.console import Console
from runtime.cli.exits import Exit
from runtime.cli.output import print_list
from runtime.cli.parsing import Argument, Listing, Option
from runtime.cli.sessions import Way


class Checks(Listing):
    """Show what every rule found, run by run.

    The trend has a sign for each run, the newest at the right: · where no row broke the rule, a bar
    for the share of rows that did, ✗ where the rule counts no rows and did not hold.
    """

    examples: ClassVar = (
        ("headwater checks", "every rule, and its trend over the last runs"),
        ("headwater checks flights", "those of one pipeline"),
        ("headwater checks flights.punctuality --rule not_null", "of one dataset and one kind"),
        ("headwater checks flights --runs 30 --json", "each result of the last 30 runs"),
    )

    of: Annotated[str, Argument("PIPELINE|DATASET", "only rules of this one")] = ""
    rule: Annotated[str, Option("only this rule: its name, or a kind such as unique", "RULE")] = ""
    runs: Annotated[
        int, Meta(ge=1, le=trend_runs_max), Option("over so many runs of each pipeline", "N")
    ] = 10
    limit: Annotated[int, Meta(ge=1, le=1000), Option("at most so many rules", "N")] = 100

    async def execute(self, console: Console) -> Exit:
        """Ask the quality view."""
        asked: dict[str, Any] = {"limit": self.limit, "runs": self.runs}
        if self.of:
            asked["of"] = self.of
        if self.rule:
            asked["rule"] = self.rule
        async with Way(self).reading() as session:
            found = await session.query("quality.checks", asked)
        nothing = "No run has checked a rule yet. Rules stand in a step's `checks`."
        print_list(console, self.form, found, trend_columns(found["items"]), nothing=nothing)
        return Exit.DONE
