"""What a service and all of its children have in memory, each shared page counted once."""

from pathlib import Path

from benchmarks.report import Figure


def idle_memory(pid: int) -> Figure:
    """The proportional set size of a process and its descendants."""
    tree = _tree(pid)
    parts = [f"{_name(one)} {_pss(one):.0f}" for one in tree]
    return Figure(
        what="idle memory of all processes (PSS)",
        value=sum(map(_pss, tree)),
        unit="MiB",
        reach="≤ 150 MiB",
        method=f"after `headwater up`: {', '.join(parts)}",
    )


def _tree(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in _tree(int(child)))]


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def _pss(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
