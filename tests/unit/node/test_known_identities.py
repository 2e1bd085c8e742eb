"""What is told of identities that changed since the last start, and what is kept for that."""

import json
import logging
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from fastobj.core.errors import StoreError
from fastobj.iam.identity import Identity
from fastobj.node.known_identities import note

ROOT = Identity("root-id", "root", "ROOTKEY", "the secret of root")
ALICE = Identity("alice", "Alice", "ALICEKEY", "the secret of alice")
BOB = Identity("bob", "Bob", "BOBKEY", "the secret of bob")
ALL = [ROOT, ALICE, BOB]


class Starts:
    """Starts of one server, each with the identities it is given."""

    def __init__(self, file: Path, log: pytest.LogCaptureFixture) -> None:
        self.file = file
        self._log = log

    def __call__(self, *identities: Identity) -> list[str]:
        """What a start tells."""
        self._log.clear()
        with self._log.at_level(logging.INFO):
            note(self.file, identities)
        return [record.getMessage() for record in self._log.records]


@pytest.fixture
def start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Starts:
    return Starts(tmp_path / "identities", caplog)


def test_the_first_start_tells_of_all_but_the_root(start: Starts) -> None:
    assert start(*ALL) == ["identity 'alice' is new", "identity 'bob' is new"]


def test_the_same_again_is_not_told_and_not_written(start: Starts) -> None:
    start(*ALL)
    before = start.file.stat()
    assert start(*ALL) == []
    assert start(ROOT, BOB, ALICE) == []
    assert start(ROOT, replace(ALICE, display_name="A", email="a@example.com"), BOB) == []
    after = start.file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("identities", "told"),
    [
        ([ROOT, ALICE], ["identity 'bob' is no longer given; its buckets stay its own"]),
        ([*ALL, replace(BOB, id="eve", access_key="EVE")], ["identity 'eve' is new"]),
        ([ROOT, replace(ALICE, secret_key="another"), BOB], ["'alice' has a new secret key"]),
        ([ROOT, replace(ALICE, access_key="NEW"), BOB], ["'alice' has a new access key"]),
        ([replace(ROOT, secret_key="another"), ALICE, BOB], ["'root-id' has a new secret key"]),
        (
            [ROOT, replace(ALICE, access_key="NEW", secret_key="another"), BOB],
            ["'alice' has a new access key", "'alice' has a new secret key"],
        ),
        (
            [ROOT, replace(ALICE, id="ann"), BOB],
            ["'ann' is new", "'ann' has the access key that 'alice' had", "'alice' is no longer"],
        ),
        (
            [replace(ROOT, id="other", access_key="X"), ALICE, BOB],
            ["the root user has the id 'other' and had 'root-id'", "'other' is new", "no longer"],
        ),
    ],
)
def test_each_change_is_told_once_and_without_a_secret(
    start: Starts, identities: list[Identity], told: list[str]
) -> None:
    start(*ALL)
    lines = start(*identities)
    assert len(lines) == len(told)
    assert all(part in line for part, line in zip(told, lines, strict=True))
    assert not any(identity.secret_key in "".join(lines) for identity in [*ALL, *identities])
    assert start(*identities) == []


def test_the_file_is_private_and_holds_no_secret(start: Starts) -> None:
    start(*ALL)
    assert stat.S_IMODE(start.file.stat().st_mode) == 0o600
    text = start.file.read_text()
    assert not any(identity.secret_key in text for identity in ALL)
    assert [known["id"] for known in json.loads(text)["identities"]] == ["root-id", "alice", "bob"]


def test_digests_tell_nothing_across_stores_and_identities(start: Starts, tmp_path: Path) -> None:
    twin = replace(ALICE, id="twin", access_key="TWIN")
    start(ROOT, ALICE, twin)
    note(tmp_path / "other", [ROOT, ALICE, twin])
    files = [json.loads(file.read_text()) for file in (start.file, tmp_path / "other")]
    digests = [known["digest"] for file in files for known in file["identities"]]
    assert len(set(digests)) == 6


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"\xff",
        b"{}",
        b'{"format": 2, "key": "00", "identities": []}',
        b'{"format": 1, "key": "", "identities": [{"id": "a", "access_key": "b", "digest": "c"}]}',
        b'{"format": 1, "key": "zz", "identities": [{"id": "a", "access_key": "b", "digest": ""}]}',
        b'{"format": 1, "key": "00", "identities": []}',
    ],
)
def test_a_file_that_cannot_be_used_is_told_and_written_anew(
    start: Starts, contents: bytes
) -> None:
    start.file.write_bytes(contents)
    assert "written anew" in start(*ALL)[0]
    assert start(*ALL) == []


def test_a_file_that_cannot_be_read_is_an_error_of_the_store(start: Starts) -> None:
    start.file.mkdir()
    with pytest.raises(StoreError):
        start(*ALL)
