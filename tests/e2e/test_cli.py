"""The command line against a real service: joining, hosting, Ctrl-C, every form of every list."""

import csv
import io
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runtime.datadir import DataDir
from runtime.orphans import identify, is_alive
from tests.e2e.project import HEADWATER, Project, descendants, environment
from tests.e2e.terminal import Terminal


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which `small` was applied and has run once; nothing is running."""
    project = Project(tmp_path_factory.mktemp("done"))
    project.json("apply", "small.yaml")
    assert project.json("run", "small")["status"] == "completed"
    return project


LISTS = (
    ["pipelines"],
    ["runs"],
    ["datasets"],
    ["events"],
    ["data", "small.totals"],
)


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_every_list_has_four_forms(done: Project, words: list[str]) -> None:
    table = done.run(*words)
    assert table.returncode == 0, table.stderr
    assert table.stdout.splitlines()[0].isupper()
    assert "\x1b" not in table.stdout
    lines = done.run(*words, "-o", "jsonl").stdout.splitlines()
    items = [json.loads(line) for line in lines]
    assert items
    rows = list(csv.DictReader(io.StringIO(done.run(*words, "-o", "csv").stdout)))
    assert len(rows) == len(items) == len(table.stdout.splitlines()) - 1
    if words != ["events"]:
        whole = done.json(*words)
        assert whole["items"] == items
        assert {"items", "next", "position"} <= set(whole)


def test_documents_are_one_object(done: Project) -> None:
    shown = done.json("show")
    assert shown["run"] == done.json("runs")["items"][0]["run"]
    assert done.json("lineage", "small.totals")["dataset"] == "small.totals"
    assert done.json("verify")["ok"] is True
    assert done.json("replay", "lineage")["name"] == "lineage"
    assert done.json("logs")["items"] is not None


def test_what_a_person_reads(done: Project) -> None:
    shown = done.run("show").stdout
    assert "small  ✓ completed" in shown
    assert "orders_clean" in shown
    tree = done.run("lineage", "small.totals").stdout
    assert "small.orders_clean" in tree
    assert "✓ monitoring" in done.run("verify").stdout


def test_rows_can_be_asked_with_sql_and_nothing_else_can(done: Project) -> None:
    asked = done.json("data", "small.totals", "--sql", "select max(amount) as most from data")
    assert asked["items"] == [{"most": 10.0}]
    for query in ("from read_csv('orders.csv')", "copy data to 'x.csv'", "from nothing"):
        refused = done.run("data", "small.totals", "--sql", query)
        assert refused.returncode == 2, refused.stderr
        assert "Traceback" not in refused.stderr
    assert not (done.folder / "x.csv").exists()


NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["show", NOBODY], 3, NOBODY),
        (["show", "not-a-run"], 2, "not the id of a run"),
        (["logs", NOBODY], 3, NOBODY),
        (["cancel", NOBODY], 3, ""),
        (["retry", NOBODY], 3, ""),
        (["watch", NOBODY], 3, NOBODY),
        (["run", "smal"], 3, "did you mean small?"),
        (["run", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["run", "small", "--param", "x=1"], 2, "x"),
        (["pause", "nobody"], 3, "nobody"),
        (["data", "small.nothing"], 3, "small.nothing"),
        (["lineage", "small.nothing"], 3, "small.nothing"),
        (["replay", "nothing"], 3, "nothing"),
        (["apply", "small.yaml", "--expect", "7"], 5, "revision 1"),
        (["services"], 7, "headwater up"),
    ],
)
def test_exit_codes(done: Project, words: list[str], code: int, told: str) -> None:
    found = done.run(*words)
    assert (found.returncode, found.stdout) == (code, ""), found.stderr
    assert found.stderr.startswith("Error: ")
    assert told in found.stderr
    assert "Traceback" not in found.stderr


def test_a_paused_pipeline_refuses(project: Project) -> None:
    project.json("apply", "small.yaml")
    assert "is paused." in project.run("pause", "small", "--reason", "moving").stderr
    assert "already" in project.run("pause", "small").stderr
    refused = project.run("run", "small")
    assert refused.returncode == 4
    assert "moving" in refused.stderr
    assert project.run("resume", "small").returncode == 0
    assert project.run("run", "small").returncode == 0


def test_a_mistake_in_a_file_is_told_with_its_line(project: Project) -> None:
    text = (project.folder / "small.yaml").read_text()
    (project.folder / "small.yaml").write_text(text.replace("sum(amount)", "sum(amont)"))
    for words in (["check"], ["apply"], ["run"]):
        refused = project.run(*words, "small.yaml")
        assert refused.returncode == 2
        assert "small.yaml:17" in refused.stderr
        assert "amount" in refused.stderr


def test_many_may_look_at_once(done: Project) -> None:
    with ThreadPoolExecutor(6) as pool:
        looks = list(pool.map(lambda _: done.run("runs", "--json"), range(6)))
    assert [look.returncode for look in looks] == [0] * 6


def test_a_service_that_cannot_be_started_is_not_tried_for_ever(project: Project) -> None:
    nats = "nats=nats://bob:secret@127.0.0.1:1"
    done = project.run("run", "small.yaml", "--detach", "--set", nats)
    assert done.returncode == 7
    assert "nobody answers on nats://bob:…@127.0.0.1:1, and the service could not" in done.stderr
    assert "service.log says why" in done.stderr


def test_a_detached_run_ends_by_itself(project: Project) -> None:
    run = project.json("run", "small.yaml", "--detach")["run"]
    data = DataDir(project.folder / ".headwater")
    project.until(lambda: data.holder() is None)
    assert project.status(run) == "completed"


def test_a_memory_store_leaves_no_history(project: Project) -> None:
    assert project.json("run", "small.yaml", "--store", "memory")["status"] == "completed"
    assert not (project.folder / ".headwater/events.db").exists()


def test_a_run_on_a_terminal_is_shown_live(project: Project) -> None:
    terminal = Terminal(project.folder, "run", "small.yaml")
    assert terminal.end() == 0
    assert "\x1b[?25l" in terminal.raw
    assert terminal.raw.count("\x1b[?25h") == terminal.raw.count("\x1b[?25l")
    assert "✓ completed" in terminal.text
    assert "orders_clean" in terminal.text


def test_ctrl_c_cancels_a_run_of_our_own(project: Project) -> None:
    terminal = Terminal(project.folder, "run", "slow.yaml")
    terminal.until("running for")
    terminal.interrupt()
    terminal.until("Cancelling the run.")
    assert terminal.end() == 1
    assert project.json("show")["status"] == "cancelled"


def test_a_second_ctrl_c_stops_at_once(project: Project) -> None:
    terminal = Terminal(project.folder, "run", "slow.yaml")
    terminal.until("running for")
    children = [identify(child.pid) for child in descendants(terminal.process.pid)]
    for child in descendants(terminal.process.pid):
        if "nats-server" in child.name():
            child.suspend()  # so that the cancel cannot come through
    terminal.interrupt()
    terminal.until("Cancelling the run.")
    terminal.interrupt()
    assert terminal.end(10) == 130
    assert "Stopped." in terminal.text
    assert project.run("runs").returncode == 0
    assert children
    assert not any(is_alive(child) for child in children)


def test_ctrl_c_leaves_the_run_of_a_service_alone(project: Project) -> None:
    with project.up():
        terminal = Terminal(project.folder, "run", "slow.yaml")
        terminal.until("running for")
        terminal.interrupt()
        assert terminal.end() == 130
        assert "headwater watch" in terminal.text
        run = project.json("runs")["items"][0]["run"]
        assert project.json("watch", run)["status"] == "completed"


def test_up_says_what_it_takes_up_again(project: Project) -> None:
    with project.up() as service:
        run = project.json("run", "slow.yaml", "--detach")["run"]
        service.kill()
        service.wait()
    with project.up():
        assert project.json("watch", run)["status"] == "completed"
    assert f"Resuming 1 open run: {run}" in (project.folder / "up.log").read_text()


def test_a_second_service_is_refused(project: Project) -> None:
    with project.up():
        refused = project.run("up")
        assert refused.returncode == 4
        assert "is held by process" in refused.stderr


def test_events_are_followed(project: Project) -> None:
    with project.up():
        following = subprocess.Popen(
            [HEADWATER, "events", "--follow", "--json", "--after", "0"],
            cwd=project.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        run = project.json("run", "small.yaml")["run"]
        assert following.stdout is not None
        for line in following.stdout:
            event = json.loads(line)
            if event["tag"] == "run.completed.v1":
                break
        assert event["stream"] == f"run/{run}"
        following.terminate()
        following.communicate()


def test_any_message_can_be_sent(project: Project) -> None:
    with project.up():
        reply = project.run("send", "headwater.command.run.start", '{"pipeline": "nobody"}')
        assert reply.returncode == 3
        assert json.loads(reply.stdout)["code"] == "pipeline_not_found"
        answer = project.json("send", "headwater.query.monitoring.runs", "{}")
        assert answer["items"] == []
        nowhere = project.run("send", "nobody.is.here", "{}")
        assert nowhere.returncode == 7
