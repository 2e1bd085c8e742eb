"""Files without a row: zeros go, anything else is kept where it harms nobody."""

import fcntl
import os
from pathlib import Path

import pytest

from fastobj.background import orphans

ROWS = {0x8000000000000001}


@pytest.fixture
def folders(tmp_path):
    extents, quarantine = tmp_path / "extents", tmp_path / "quarantine"
    extents.mkdir()
    return extents, quarantine


def _settle(folders):
    return orphans.settle(*folders, has_row=ROWS.__contains__)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_files_with_a_row_stay(folders):
    (folders[0] / "8000000000000001.ext").write_bytes(b"anything")
    assert _settle(folders) == 0
    assert _names(folders[0]) == ["8000000000000001.ext"]
    assert not folders[1].exists()


@pytest.mark.parametrize("size", [0, 1, 4096, (1 << 20) + 17, 3 << 20])
def test_files_of_zeros_go(folders, size):
    (folders[0] / "8000000000000002.ext").write_bytes(bytes(size))
    assert _settle(folders) == 1
    assert _names(folders[0]) == []
    assert not folders[1].exists()


def test_a_file_that_was_only_allocated_goes_unread(folders, monkeypatch):
    path = folders[0] / "8000000000000002.ext"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 64 << 20)
        os.fsync(file.fileno())
    assert _settle(folders) == 1
    assert _names(folders[0]) == []


@pytest.mark.parametrize("at", [0, 4095, 4096, (1 << 20) - 1, 1 << 20, (8 << 20) - 1])
def test_one_byte_anywhere_keeps_the_file(folders, at):
    path = folders[0] / "8000000000000002.ext"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 8 << 20)
        os.pwrite(file.fileno(), b"\1", at)
    assert _settle(folders) == 1
    assert _names(folders[0]) == []
    assert _names(folders[1]) == ["8000000000000002.ext"]


def test_other_files_are_left_alone(folders):
    for name in ("README", "lost+found", "notes.txt"):
        (folders[0] / name).write_bytes(b"")
    assert _settle(folders) == 0
    assert len(_names(folders[0])) == 3


def test_it_may_be_repeated(folders):
    (folders[0] / "8000000000000002.ext").write_bytes(b"kept")
    (folders[0] / "8000000000000003.body").write_bytes(bytes(10))
    assert _settle(folders) == 2
    assert _settle(folders) == 0
    assert _names(folders[1]) == ["8000000000000002.ext"]


def test_a_file_that_somebody_makes_is_left_alone(folders):
    with (folders[0] / "8000000000000002.ext").open("wb") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        assert _settle(folders) == 0
    assert _settle(folders) == 1


def test_a_row_that_commits_meanwhile_keeps_its_file(folders):
    """Its maker has committed it and died between the first look and the claim."""
    (folders[0] / "8000000000000002.ext").write_bytes(bytes(10))
    answers = iter([False, True])
    assert orphans.settle(*folders, has_row=lambda _: next(answers)) == 0
    assert _names(folders[0]) == ["8000000000000002.ext"]
