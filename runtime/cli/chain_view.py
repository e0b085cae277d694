"""What was found in the chain of events, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from runtime.cli.console import Console
from runtime.cli.words import count, plural, printable

findings_shown_max = 20
"""For a person; --json has all of them."""


def tell_chain(console: Console, report: Mapping[str, Any]) -> None:
    """The findings, the verdict, and the head to be kept."""
    findings = report["findings"]
    for finding in findings[:findings_shown_max]:
        for line in _finding(console, finding):
            console.print(line)
    if len(findings) > findings_shown_max or report["more"]:
        more = len(findings) - findings_shown_max
        told = f"{more:,} more (--json)" if more > 0 else "more"
        console.print(f"    … and {told}; {'not all was looked at' if report['more'] else ''}")
    if not report["ok"]:
        verdict = console.styled("Not proven.", "bold", "red")
        console.print(f"{verdict} Put a backup in its place: headwater restore --help")
        return
    mark = console.styled("✓", "green")
    console.print(f"{mark} chain       {plural(report['events'], 'event')} as they were recorded")
    proven = f"Every event up to position {count(report['position'])} is proven."
    console.print(console.styled(proven, "bold"))
    console.print(f"Head: {report['head']}")


def _finding(console: Console, finding: Mapping[str, Any]) -> Iterator[str]:
    mark = console.styled("✗", "red")
    first, last = finding["position"], finding["last"]
    if not first:
        yield f"{mark} the file: {printable(finding['detail'])}"
        return
    where = f"position {count(first)}" if first == last else f"positions {first:,} to {last:,}"
    names = [where]
    if finding["stream"]:
        names += [f"{finding['stream']} version {finding['version']}", finding["tag"]]
    yield f"{mark} {'  '.join(printable(name) for name in names)}"
    yield f"    {printable(finding['detail'])}"
