"""The lock of the data directory, held and let go by real processes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from domain.errors import Unavailable
from runtime.datadir import Busy, DataDir
from runtime.orphans import Child, identify, is_alive

_CHILD = "import sys; print('here', flush=True); sys.stdin.read()"

_HOLDER = f"""
import subprocess, sys
from pathlib import Path
from runtime.datadir import DataDir
with DataDir(Path(sys.argv[1])).hold(sys.argv[2]) as held:
    child = subprocess.Popen([sys.executable, "-c", {_CHILD!r}], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, pass_fds=(held.descriptor,), start_new_session=True)
    child.stdout.readline()
    held.record(child.pid, "step worker")
    held.say(ready=True)
    print(child.pid, flush=True)
    sys.stdin.read()
    child.stdin.close()
    child.wait()
"""

# The child of this one reads from a pipe that the test keeps open: it outlives its parent.
_CARELESS = f"""
import os, subprocess, sys
from pathlib import Path
from runtime.datadir import DataDir
with DataDir(Path(sys.argv[1])).hold("up") as held:
    child = subprocess.Popen([sys.executable, "-c", {_CHILD!r}],
        stdout=subprocess.PIPE, pass_fds=(held.descriptor,), start_new_session=True)
    child.stdout.readline()
    held.record(child.pid, "step worker")
    print(child.pid, flush=True)
    os.kill(os.getpid(), 9)
"""


@contextmanager
def _holder(data: Path, role: str = "up") -> Iterator["tuple[subprocess.Popen[bytes], int]"]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(data), role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        if process.poll() is None:
            assert process.stdin is not None
            process.stdin.close()


def test_a_held_directory_tells_who_holds_it(tmp_path: Path) -> None:
    with _holder(tmp_path / "d") as (process, _):
        with pytest.raises(Busy) as busy, DataDir(tmp_path / "d").hold("run"):
            pass
        assert busy.value.holder is not None
        assert busy.value.holder.process.pid == process.pid
        assert busy.value.holder.ready
        assert f"process {process.pid} (up)" in busy.value.message


def test_it_is_free_again_afterwards(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "d")
    with _holder(tmp_path / "d"):
        pass
    assert data.holder() is None
    with data.hold("run") as held:
        assert data.holder() is not None
        assert held.role == "run"
    assert data.holder() is None


def test_orphans_of_a_killed_holder_are_ended(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", _CARELESS, str(tmp_path)], stdin=ours, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        orphan = identify(int(process.stdout.readline()))
        assert process.wait() == -signal.SIGKILL
    os.close(ours)
    assert is_alive(orphan), "it must have outlived its parent for this test to mean anything"
    assert DataDir(tmp_path).holder() is None

    with DataDir(tmp_path).hold("up"):
        assert not is_alive(orphan)
        assert DataDir(tmp_path).roster.children() == ()
    os.close(theirs)


def test_a_pid_given_again_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        roster = DataDir(tmp_path).roster
        roster.add(stranger.pid, "step worker")
        file = tmp_path / "children" / socket.gethostname() / str(stranger.pid)
        child = msgspec.json.decode(file.read_bytes(), type=Child)
        dead = msgspec.structs.replace(child.parent, started=1.0)
        other = msgspec.structs.replace(child.process, started=1.0)
        record = msgspec.structs.replace(child, parent=dead, process=other)
        file.write_bytes(msgspec.json.encode(record))

        assert roster.end_orphans() == ()
        assert stranger.poll() is None
        assert roster.children() == ()
        assert stranger.stdin is not None
        stranger.stdin.close()


def test_children_of_a_living_parent_are_left_alone(tmp_path: Path) -> None:
    with _holder(tmp_path) as (_, child):
        assert DataDir(tmp_path).roster.end_orphans() == ()
        assert is_alive(identify(child))


def test_a_reader_is_waited_for(tmp_path: Path) -> None:
    with _holder(tmp_path, "read") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        with DataDir(tmp_path).hold("up") as held:
            assert held.role == "up"


def test_a_killed_holder_without_children_leaves_nothing(tmp_path: Path) -> None:
    with _holder(tmp_path) as (process, _):
        process.kill()
        process.wait()
        with DataDir(tmp_path).hold("up"):
            holder = DataDir(tmp_path).holder()
            assert holder is not None
            assert holder.process.pid == os.getpid()


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert process.stdout is not None
    identity = identify(process.pid)
    process.stdout.read()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(identity)
    process.communicate()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable) as refused, DataDir(tmp_path / "file" / "d").hold("up"):
        pass
    assert "cannot be used" in refused.value.message


def test_it_is_for_its_owner_and_not_for_git(tmp_path: Path) -> None:
    with DataDir(tmp_path / "d").hold("read"):
        assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "d" / ".gitignore").read_text() == "*\n"


def test_those_that_share_it_stand_beside_each_other_and_never_beside_one_that_has_it_alone(
    tmp_path: Path,
) -> None:
    directory = DataDir(tmp_path)
    one, other = directory.share(), directory.share()
    one.say(ready=True)
    assert directory.holder() is None
    one.close()
    other.close()
    with directory.hold("up"), pytest.raises(Busy):
        directory.share()
    directory.share().close()
