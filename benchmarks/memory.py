"""What a service and all of its children have in memory, each shared page counted once."""

import subprocess
from contextlib import suppress
from pathlib import Path

from benchmarks.report import Figure


def idle_memory(pid: int) -> Figure:
    """The proportional set size of a process and its descendants."""
    found = tree(pid)
    parts = [f"{_name(one)} {_pss(one):.0f}" for one in found]
    own = sum(_pss(one, "Pss_Anon") for one in found)
    return Figure(
        what="idle memory of all processes (PSS)",
        value=sum(map(_pss, found)),
        unit="MiB",
        reach="≤ 150 MiB",
        method=f"after `headwater up`: {', '.join(parts)}; without pages of files {own:.0f}, since"
        " libraries that were just installed are mapped in larger pieces",
    )


def peak_memory(process: "subprocess.Popen[bytes]") -> float:
    """The most that a process and its descendants have at once until it ends, in MiB."""
    peak = 0.0
    while process.poll() is None:
        with suppress(OSError):  # one of them has just ended
            peak = max(peak, sum(map(_pss, tree(process.pid))))
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    return peak


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in tree(int(child)))]


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _pss(pid: int, kind: str = "Pss") -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024
