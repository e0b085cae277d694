"""A file system that forgets at a power cut what was not synced, and fails when it is told to.

python lossy.py BACKING MOUNTPOINT

Files lie in the backing folder as programs see them. Beside them is kept, page by page, what a disk
would still hold: what was there before writes that nobody has synced. Unmounting is the power cut:
it puts those pages and sizes back. Names, and sizes that somebody has set, stay, as if folders were
synced at once.

A failed sync is what Linux makes of it: the pages count as written, and no later sync brings them
to the disk.

Each line on standard input is a JSON object, answered by a line: `{"settle": true}` syncs all there
is; `{"fail": "fsync", "name": "*.db", "after": 3, "times": 1, "error": "EIO"}` lets the operation
fail on files of that path from the fourth call on; `{"heal": true}` ends that.
"""

import errno
import fnmatch
import json
import os
import resource
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import mfusepy  # type: ignore[import-untyped]

PAGE = 4096
_STAT = ("atime_ns", "ctime_ns", "mtime_ns", "gid", "ino", "mode", "nlink", "size", "uid", "blocks")


class Unsynced:
    """What the disk holds of one file, where that is not what programs see."""

    def __init__(self, fd: int) -> None:
        self.fd = os.dup(fd)
        self.size = os.fstat(fd).st_size
        self.pages: dict[int, bytes] = {}
        """Pages that were written, as they were at the last sync."""
        self.lost: dict[int, bytes] = {}
        """Pages whose sync has failed."""

    def before_write(self, offset: int, length: int) -> None:
        """Keep what is about to be overwritten."""
        for page in range(offset // PAGE, (offset + length - 1) // PAGE + 1):
            if page in self.lost:
                self.pages[page] = self.lost.pop(page)
            elif page not in self.pages:
                room = max(0, min(PAGE, self.size - page * PAGE))
                self.pages[page] = os.pread(self.fd, room, page * PAGE)

    def truncated(self, length: int) -> None:
        """A size that is set is on the disk at once."""
        self.size = length
        for kept in (self.pages, self.lost):
            for page in list(kept):
                kept[page] = kept[page][: max(0, length - page * PAGE)]

    def synced(self) -> None:
        """All is on the disk that was not given up before."""
        self.size = os.fstat(self.fd).st_size
        self.pages.clear()

    def give_up(self) -> None:
        """A sync has failed."""
        self.lost.update(self.pages)
        self.pages.clear()

    def forget(self) -> None:
        """The power has gone."""
        for page, old in (*self.lost.items(), *self.pages.items()):
            os.pwrite(self.fd, old.ljust(PAGE, b"\0"), page * PAGE)
        os.ftruncate(self.fd, self.size)


class Lossy(mfusepy.Operations):  # type: ignore[misc]  # has no types
    """The operations, one at a time."""

    use_ns = True

    def __init__(self, root: str) -> None:
        self._root = root
        self._unsynced: dict[int, Unsynced] = {}
        self._at_once: set[int] = set()
        self._rules: list[dict[str, Any]] = []

    def told(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what a line says."""
        if "settle" in order:
            for inode in list(self._unsynced):
                self._sync(inode)
        if "fail" in order:
            self._rules.append({"after": 0, "times": 1, "error": "EIO", "failed": 0, **order})
        if "heal" in order:
            self._rules.clear()
        return {"failed": sum(rule["failed"] for rule in self._rules)}

    def destroy(self, path: str) -> None:
        for one in self._unsynced.values():
            one.forget()

    def open(self, path: str, flags: int) -> int:
        plain = flags & ~(os.O_APPEND | os.O_DIRECT | os.O_ACCMODE)  # offsets come from the kernel
        access = flags & os.O_ACCMODE
        fd = os.open(self._at(path), plain | (os.O_RDWR if access else os.O_RDONLY))
        if flags & os.O_DSYNC:
            self._at_once.add(fd)
        return fd

    def create(self, path: str, mode: int, flags: int = 0) -> int:
        self._may("create", path)
        fd = os.open(
            self._at(path), os.O_CREAT | os.O_RDWR | flags & (os.O_EXCL | os.O_TRUNC), mode
        )
        self._own(path)
        if flags & os.O_DSYNC:
            self._at_once.add(fd)
        return fd

    def release(self, path: str | None, fh: int) -> int:
        self._at_once.discard(fh)
        os.close(fh)
        return 0

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        self._may("read", path)
        return os.pread(fh, size, offset)

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        self._may("write", path)
        inode = os.fstat(fh).st_ino
        if inode not in self._unsynced:
            self._unsynced[inode] = Unsynced(fh)
        self._unsynced[inode].before_write(offset, len(data))
        written = os.pwrite(fh, data, offset)
        if fh in self._at_once:
            self._synced(path, inode)
        return written

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._may("truncate", path)
        os.truncate(self._at(path), length)
        unsynced = self._unsynced.get(os.stat(self._at(path)).st_ino)
        if unsynced is not None:
            unsynced.truncated(length)
        return 0

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:
        self._synced(path, os.fstat(fh).st_ino)
        return 0

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        found = os.lstat(self._at(path)) if path is not None else os.fstat(fh or 0)
        return {f"st_{name.removesuffix('_ns')}": getattr(found, f"st_{name}") for name in _STAT}

    def readdir(self, path: str, fh: int) -> Iterator[tuple[str, dict[str, int], int]]:
        for name in (".", ".."):
            yield name, {"st_mode": stat.S_IFDIR, "st_ino": 1}, 0
        with os.scandir(self._at(path)) as entries:
            for one in entries:
                found = one.stat(follow_symlinks=False)
                yield one.name, {"st_mode": found.st_mode, "st_ino": found.st_ino}, 0

    def mkdir(self, path: str, mode: int) -> int:
        self._may("create", path)
        os.mkdir(self._at(path), mode)
        self._own(path)
        return 0

    def unlink(self, path: str) -> int:
        os.unlink(self._at(path))
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._at(path))
        return 0

    def rename(self, old: str, new: str) -> int:
        self._may("create", new)
        os.rename(self._at(old), self._at(new))
        return 0

    def link(self, target: str, source: str) -> int:
        self._may("create", target)
        os.link(self._at(source), self._at(target))
        return 0

    def symlink(self, target: str, source: str) -> int:
        os.symlink(source, self._at(target))
        return 0

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def chmod(self, path: str | None, mode: int) -> int:
        os.chmod(self._at(path), mode)
        return 0

    def chown(self, path: str | None, uid: int, gid: int) -> int:
        os.chown(self._at(path), uid, gid)
        return 0

    def utimens(self, path: str | None, times: tuple[int, int] | None = None) -> int:
        os.utime(self._at(path), ns=times) if times else os.utime(self._at(path))
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._root)
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_frsize", "f_files", "f_ffree")
        return {name: getattr(found, name) for name in names}

    def _at(self, path: str | None) -> str:
        if path is None:
            raise OSError(errno.ENOENT, "its name is gone")
        return self._root + path

    def _own(self, path: str) -> None:
        if os.geteuid() == 0:
            uid, gid, _ = mfusepy.fuse_get_context()
            os.chown(self._at(path), uid, gid)

    def _synced(self, path: str | None, inode: int) -> None:
        try:
            self._may("fsync", path)
        except OSError:
            if inode in self._unsynced:
                self._unsynced[inode].give_up()
            raise
        self._sync(inode)

    def _sync(self, inode: int) -> None:
        one = self._unsynced.get(inode)
        if one is not None:
            one.synced()
            if not one.lost:
                os.close(self._unsynced.pop(inode).fd)

    def _may(self, operation: str, path: str | None) -> None:
        """Raise what a rule says of this operation."""
        for rule in self._rules:
            if rule["fail"] != operation or not fnmatch.fnmatch(path or "", rule["name"]):
                continue
            if rule["after"]:
                rule["after"] -= 1
            elif rule["failed"] < rule["times"]:
                rule["failed"] += 1
                raise OSError(getattr(errno, rule["error"]), "as told")


def main(backing: str, mountpoint: str) -> None:
    """Serve until it is unmounted."""
    _, files_max = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))
    os.umask(0)
    lossy = Lossy(backing)

    def listen() -> None:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(lossy.told(json.loads(line))) + "\n")
            sys.stdout.flush()

    threading.Thread(target=listen, daemon=True).start()
    options: dict[str, Any] = {"allow_other": os.geteuid() == 0, "default_permissions": True}
    with suppress(KeyboardInterrupt):
        mfusepy.FUSE(
            lossy,
            mountpoint,
            foreground=True,
            nothreads=True,
            hard_remove=True,
            use_ino=True,
            fsname="lossy",
            **options,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
