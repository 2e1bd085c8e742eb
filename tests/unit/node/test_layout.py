"""The store's directory: made once, completed after a crash, refused when it is not ours."""

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from fastobj.core.clock import FixedClock
from fastobj.core.errors import StoreDamaged, StoreError, SyncFailed, UnknownFormat
from fastobj.node import layout as module
from fastobj.node.layout import StoreLayout, find, prepare, write_durably
from fastobj.storage import io


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_a_new_store_has_folders_an_id_and_a_private_directory(root: Path) -> None:
    layout = prepare(root, FixedClock(1_700_000_000 * 10**9))
    assert sorted(os.listdir(root)) == ["extents", "log", "store"]
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "store").stat().st_mode) == 0o600
    assert len(layout.store_id) == 16
    assert json.loads((root / "store").read_bytes()) == {
        "format": 1,
        "id": layout.store_id.hex(),
        "created": "2023-11-14T22:13:20+00:00",
    }


def test_a_store_keeps_its_id(root: Path) -> None:
    first = prepare(root)
    (root / "log" / "1.log").touch()
    (root / "meta.db").touch()
    assert prepare(root) == first
    assert prepare(root).store_id != prepare(root.with_name("other")).store_id


def test_a_relative_directory_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert prepare(Path("store")).root == tmp_path / "store"


def test_paths_stand_below_the_root() -> None:
    layout = StoreLayout(Path("/s"), bytes(16))
    names = [
        "log",
        "extents",
        "quarantine",
        "database",
        "credentials",
        "identities",
        "server_lock",
        "store_lock",
        "fence",
        "processes",
    ]
    paths = [getattr(layout, name) for name in names]
    assert all(path.parent == layout.root for path in paths)
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("left", [[], ["log"], ["log", "extents"], ["lost+found", "extents"]])
def test_a_store_that_was_being_made_is_completed(root: Path, left: list[str]) -> None:
    root.mkdir()
    for name in left:
        (root / name).mkdir()
    (root / "store.new").write_text("half")
    prepare(root)
    assert not (root / "store.new").exists()
    assert {"log", "extents", "store"} <= set(os.listdir(root))


STEPS = ["fsync", "rename", "sync_directory"]


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_each_step_leaves_what_the_next_start_completes(
    root: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise SyncFailed("injected")

    root.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(io.File if step == "fsync" else io, step, fail)
        with pytest.raises(SyncFailed):
            prepare(root)
    assert prepare(root) == prepare(root)


def test_the_store_file_is_renamed_only_when_it_is_synced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def note(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def noted(*arguments: object) -> object:
            calls.append(name)
            return original(*arguments)

        monkeypatch.setattr(owner, name, noted)

    note(io, "create")
    note(io.File, "fsync")
    note(io, "rename")
    note(io, "sync_directory")
    prepare(root)
    assert calls[-4:] == ["create", "fsync", "rename", "sync_directory"]
    assert calls[0] == "sync_directory"  # the parent, which names the new directory


def test_a_directory_with_other_things_is_refused_untouched(root: Path) -> None:
    root.mkdir()
    for name in ("a", "b", "c", "d"):
        (root / name).touch()
    with pytest.raises(StoreError, match=r"holds other things \(a, b, c\)"):
        prepare(root)
    assert sorted(os.listdir(root)) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "left", ["log/1.log", "extents/1.ext", "meta.db", "credentials", "identities"]
)
def test_a_store_without_its_store_file_gets_no_new_id(root: Path, left: str) -> None:
    prepare(root)
    (root / "store").unlink()
    (root / left).touch()
    with pytest.raises(StoreDamaged, match="restore that file"):
        prepare(root)
    assert not (root / "store").exists()


@pytest.mark.parametrize("folder", ["log", "extents"])
def test_a_missing_folder_is_not_made_again(root: Path, folder: str) -> None:
    prepare(root)
    (root / folder).rmdir()
    with pytest.raises(StoreDamaged, match=f"{folder} is missing"):
        prepare(root)


WITH_BAD_ID = [b'{"format":1,"id":"%s","created":""}' % text for text in (b"ab", b"zz" * 16)]


@pytest.mark.parametrize("contents", [b"", b"{", b"\xff", b"[]", b'{"format":1}', *WITH_BAD_ID])
def test_a_damaged_store_file_is_refused(root: Path, contents: bytes) -> None:
    prepare(root)
    (root / "store").write_bytes(contents)
    with pytest.raises(StoreDamaged, match="restore that file"):
        prepare(root)


def test_a_newer_format_is_refused_whatever_else_it_holds(root: Path) -> None:
    prepare(root)
    (root / "store").write_text('{"format": 2, "uuid": "x"}')
    with pytest.raises(UnknownFormat, match="has format 2, this version reads up to 1"):
        prepare(root)


def test_a_missing_parent_is_not_made(root: Path) -> None:
    with pytest.raises(StoreError, match="make it first, or mount"):
        prepare(root / "deeper")


def test_a_file_is_no_directory(root: Path) -> None:
    root.touch()
    with pytest.raises(StoreError, match="is not a directory"):
        prepare(root)


def test_two_that_make_one_store_at_once_agree_on_its_id(root: Path) -> None:
    root.mkdir()
    found: list[bytes] = []
    barrier = threading.Barrier(8)

    def open_store() -> None:
        barrier.wait()
        found.append(prepare(root).store_id)

    threads = [threading.Thread(target=open_store) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    (tmp_path / f"file{module.TEMPORARY_SUFFIX}").write_bytes(b"left by a crash")
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_store_is_found_where_there_is_one_and_none_is_made(root: Path) -> None:
    with pytest.raises(StoreError, match="holds no store: give the directory of one"):
        find(root)
    root.mkdir()
    with pytest.raises(StoreError, match="holds no store"):
        find(root)
    assert os.listdir(root) == []
    made = prepare(root)
    assert find(root) == made
    assert made.made_ns == (root / "store").stat().st_mtime_ns
    (root / "log").rmdir()
    with pytest.raises(StoreDamaged, match="log is missing"):
        find(root)


def test_a_store_without_its_file_is_no_new_directory(root: Path) -> None:
    prepare(root)
    (root / "store").unlink()
    (root / "store.lock").touch()
    with pytest.raises(StoreDamaged, match="restore that file"):
        find(root)
