"""The main job, shown: a real pipeline on real data, then the same with a worker killed on its way.

`make demo` runs it. It uses nothing but the `headwater` command, as anybody would.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
HEADWATER = Path(sys.executable).with_name("headwater")
PIPELINE = "examples/flights/flights.yaml"
DATA = ".headwater"
"""Where commands look that are typed in the root of the project."""

seconds_max = 60.0
"""For anything to happen before the demo gives up."""


def main() -> int:
    """Everything, in order; 0 if all of it went as told."""
    os.chdir(ROOT)
    say("1. A pipeline on 336,776 flights: three sources, cleaning, a join, checks, a Parquet file")
    show("run", PIPELINE, "--data", DATA)
    say("2. The same once more: nothing has changed, so nothing is done")
    run_again()
    say("3. What came out")
    show("data", "flights.punctuality", "--limit", "8")
    say("4. The same file with `join` for `left join`: it keeps its promise, or it fails")
    refused = run_without_left()
    say("5. Where the numbers in one column come from")
    show("lineage", "flights.punctuality", "--column", "arr_delay", "--up", "--depth", "1")
    say("6. The same pipeline as a service, and one of its workers killed in the middle of a step")
    killed = run_with_a_kill()
    say("7. Every view held against a fresh fold of all events")
    show("verify")
    say("Your turn. Five commands to paste:")
    for line in (
        "data flights.punctuality --sql 'from data order by arr_delay desc'",
        "events --run last",
        "lineage flights.punctuality",
        f"check {PIPELINE}",
        f"run examples/python_step/temperatures.yaml --data {DATA}",
    ):
        print(f"  .venv/bin/headwater {line}")
    return 0 if refused and killed else 1


def run_again() -> None:
    """A second run, and how long it took beside the one before."""
    show("run", PIPELINE, "--data", DATA)
    second, first = answer("runs", "--limit", "2", "--json")["items"]
    counted = second["steps"]
    print(
        f"\n{counted['reused']} of {counted['total']} steps were reused and the file was left "
        f"as it is: {second['seconds']:.2f} s after {first['seconds']:.2f} s."
    )


def run_without_left() -> bool:
    """Run the pipeline with one word less, which would lose 48,444 flights in silence elsewhere."""
    text = Path(PIPELINE).read_text(encoding="utf-8")
    lossy = Path(PIPELINE).with_name("lossy.yaml")  # beside the data that it names
    lossy.write_text(text.replace("left join aircraft", "join aircraft"), encoding="utf-8")
    try:
        print("$ sed 's/left join aircraft/join aircraft/' flights.yaml > lossy.yaml", flush=True)
        refused = shown("run", str(lossy), "--data", DATA)
    finally:
        lossy.unlink()
    if refused == 1:
        tell_whose()
    return refused == 1


def tell_whose() -> None:
    """Which airlines the lost flights are of, by name."""
    failed = next(one for one in answer("show", "--json")["steps"] if one["status"] == "failed")
    flown = failed["inputs"][0]
    carriers = answer("data", "flights.carriers", "--json")["items"]
    names = {one["carrier"]: one["name"] for one in carriers}
    lost = next(one["values"] for one in flown["lost"] if one["columns"] == ["carrier"])
    shares = [f"{one['rows'] / flown['unmatched']:.0%} are {names[one['value']]}'s" for one in lost]
    print(f"\nOf the {flown['unmatched']:,} lost flights {shares[0]}, and {shares[1]}.")


def run_with_a_kill() -> bool:
    """Start a service and a run, kill the process that reads the flights, wait for the end."""
    with service() as pid:
        started = answer("run", PIPELINE, "--no-cache", "--data", DATA, "--detach", "--json")
        run = str(started["run"])
        print(f"run {run}", flush=True)
        victim = reader_of(pid, "flights.csv.gz")
        victim.kill()
        print(f"kill -9 {victim.pid}: the process that was reading flights.csv.gz", flush=True)
        ended = answer("watch", run, "--json")
        show("show", run)
        leases = [event["data"]["lease"] for event in claims(run) if event["data"]["step"] == "raw"]
    raw = next(step for step in ended["steps"] if step["id"] == "raw")
    told = " and ".join(str(lease) for lease in leases)
    print(
        f"\n'raw' was claimed {len(leases)} times (leases {told}) and has {raw['rows_out']:,} rows."
    )
    return ended["status"] == "completed" and len(leases) > 1


def reader_of(pid: int, file: str) -> psutil.Process:
    """The step process below `pid` that has `file` open."""
    end = time.monotonic() + seconds_max
    while time.monotonic() < end:
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                if any(opened.path.endswith(file) for opened in child.open_files()):
                    return child
        time.sleep(0.01)
    raise SystemExit(f"no process reads {file}")


@contextmanager
def service() -> Iterator[int]:
    """`headwater up`, ready, until the block ends; the id of its process."""
    process = subprocess.Popen([HEADWATER, "up", "--quiet"], stdin=subprocess.DEVNULL)
    try:
        end = time.monotonic() + seconds_max
        while quietly("services") != 0:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the service did not start")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(seconds_max)


def claims(run: str) -> list[dict[str, Any]]:
    """The events of a run that tell of accepted claims."""
    lines = output("events", "--run", run, "--tag", "run.step_started", "-o", "jsonl")
    return [json.loads(line) for line in lines.splitlines()]


def show(*arguments: str) -> None:
    """Print a command and run it where everybody can see; the demo ends if it fails."""
    code = shown(*arguments)
    if code != 0:
        raise SystemExit(code)


def shown(*arguments: str) -> int:
    """Print a command and run it where everybody can see; its exit code."""
    print(f"$ headwater {shlex.join(arguments)}", flush=True)
    done = subprocess.run([HEADWATER, *arguments], stdin=subprocess.DEVNULL, check=False)
    return done.returncode


def quietly(*arguments: str) -> int:
    """Run a command without a word; its exit code."""
    done = subprocess.run(
        [HEADWATER, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return done.returncode


def answer(*arguments: str) -> dict[str, Any]:
    """What a command answers as JSON."""
    return dict(json.loads(output(*arguments)))


def output(*arguments: str) -> bytes:
    """What a command prints."""
    return subprocess.run(
        [HEADWATER, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=seconds_max,
        check=False,
    ).stdout


def say(text: str) -> None:
    """Begin a part."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
