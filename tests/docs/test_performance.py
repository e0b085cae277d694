"""The page of figures: written by the benchmarks, with prose around."""

from argparse import Namespace
from xml.etree import ElementTree

from benchmarks.__main__ import parts
from benchmarks.page import PAGE, filled
from benchmarks.plot import svg
from benchmarks.report import Figure, Machine, Part, Plot, Results

MACHINE = Machine(
    cores=2, memory_gib=8, system="Linux", python="3.11", import_seconds=0.2, load=0.1
)
FIGURE = Figure(what="a < b", value=1234.5, unit="ms", reach="≤ 2", ratio=0.5)
PLOT = Plot(name="some", title="a < b", x="runs", y="ms", lines={"one": [(1, 2), (1000, 0.5)]})


def test_figures_are_written_between_marks_and_prose_stays() -> None:
    text = "before\n<!-- figures: sqlite soak -->\nold\n<!-- end -->\nafter\n"
    part = Part(figures=[FIGURE], plots=[PLOT], date="2026-01-31")
    once = filled(text, Results(machine=MACHINE, parts={"sqlite": part}))
    assert "| a < b | 1,234 ms | ≤ 2 |  | 0.50× |  |" in once
    assert "performance/some.svg" in once
    assert "`soak`: not measured yet" in once
    assert "old" not in once
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert filled(once, Results(machine=MACHINE, parts={"sqlite": part})) == once


def test_a_part_that_failed_is_told() -> None:
    text = "<!-- figures: peers -->\n<!-- end -->"
    failed = Results(machine=MACHINE, parts={"peers": Part(error="it cannot be installed")})
    assert "`peers`: it cannot be installed" in filled(text, failed)


def test_the_page_has_a_place_for_every_part() -> None:
    nothing = filled(PAGE.read_text(), Results(machine=MACHINE, parts={}))
    names = list(parts(Namespace(events=1, rows=1, events_most=1, minutes=1)))
    assert [name for name in names if f"`{name}`: not measured yet" not in nothing] == []


def test_a_plot_is_an_image_of_all_its_lines() -> None:
    image = ElementTree.fromstring(svg(PLOT))  # noqa: S314  # our own text
    names = [text.text for text in image.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a < b", "one", "runs", "ms"} <= set(names)
    assert len(list(image.iter("{http://www.w3.org/2000/svg}circle"))) == 2
