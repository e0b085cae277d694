"""Manifests of backups: read with suspicion."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from domain.backup import read_manifest
from domain.errors import Malformed

GOOD: Mapping[str, Any] = {
    "format": 1,
    "headwater": "0.3.0",
    "made_at": "2026-03-01T12:00:00Z",
    "store_id": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "position": 24,
    "events": 24,
    "head": f"{'0a' * 32}@24",
    "files": [
        {"path": "events.db", "bytes": 40_960, "sha256": "0" * 64},
        {"path": "datasets/1a/1af.parquet", "bytes": 463, "sha256": "1" * 64},
    ],
}


def written(**other: Any) -> bytes:
    return msgspec.json.encode({**GOOD, **other})


def test_a_manifest_says_what_the_backup_holds() -> None:
    manifest = read_manifest(written(), "0.3.0")
    assert (manifest.bytes, manifest.last.position) == (41_423, 24)


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.10.0", "1.0.0", "0.3.0.dev1"])
def test_the_same_and_later_versions_may_put_it_back(version: str) -> None:
    assert read_manifest(written(), version).events == 24


@pytest.mark.parametrize("version", ["0.2.9", "0.1.0", "0.2.10"])
def test_an_older_version_may_not(version: str) -> None:
    with pytest.raises(Malformed, match=f"made by Headwater 0.3.0, this is {version}"):
        read_manifest(written(), version)


def test_a_newer_form_is_told_even_where_nothing_else_is_known() -> None:
    with pytest.raises(Malformed, match="has form 2, this Headwater knows 1"):
        read_manifest(b'{"format": 2}', "9.0.0")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        written()[:-40],
        written(head="0a@24"),
        written(position="many"),
        written(files=None),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        read_manifest(content, "0.3.0")


@pytest.mark.parametrize(
    "path",
    [
        "../events.db",
        "/etc/passwd",
        "datasets/../../x",
        "datasets//x",
        "datasets/./x",
        "datasets",
        "views.db",
        "lock",
        "",
        "keys/../lock",
        "datasets\\..\\x",
        "events.db",
    ],
)
def test_a_file_in_another_place_is_refused(path: str) -> None:
    strange = {"path": path, "bytes": 1, "sha256": "0" * 64}
    with pytest.raises(Malformed, match="is no file of a backup"):
        read_manifest(written(files=[*GOOD["files"], strange]), "0.3.0")


def test_a_backup_without_events_is_none() -> None:
    with pytest.raises(Malformed, match="the backup has no"):
        read_manifest(written(files=GOOD["files"][1:]), "0.3.0")
