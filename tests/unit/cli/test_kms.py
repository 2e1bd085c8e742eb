"""`fastobj kms`: keys are listed, made and rotated, and none is shown."""

import pytest

from fastobj.cli.main import main
from fastobj.kms import local
from fastobj.node import layout


@pytest.fixture
def store(tmp_path):
    """A store that was made, with no server on it."""
    layout.prepare(tmp_path / "store")
    return tmp_path / "store"


def run(capsys, *words):
    """Status, output and errors of a call."""
    status = main(["kms", *map(str, words)])
    told = capsys.readouterr()
    return status, told.out, told.err


def test_keys_are_made_listed_and_rotated(store, capsys):
    assert run(capsys, "list", store)[1] == f"there are no keys in {store / 'kms-keys'} yet\n"
    assert run(capsys, "create", store, "mine")[0] == 0
    assert run(capsys, "rotate", store, "mine")[:2] == (
        0,
        f"mine has version 2 now, in {store / 'kms-keys'}: back that file up again\n",
    )
    run(capsys, "create", store, "yours")
    assert run(capsys, "list", store) == (0, "mine  2 versions\nyours  1 version\n", "")
    assert (store / "kms-keys").stat().st_mode & 0o7777 == 0o600


def test_another_file(store, tmp_path, capsys):
    place = tmp_path / "elsewhere"
    assert run(capsys, "create", store, "mine", "--kms-key-file", place)[0] == 0
    assert list(local.read(place)) == ["mine"]
    assert not (store / "kms-keys").exists()


def test_what_cannot_be_done_is_told_with_its_cure(store, tmp_path, capsys):
    run(capsys, "create", store, "mine")
    for words, told in [
        (("create", store, "mine"), "`fastobj kms rotate` adds a version"),
        (("rotate", store, "yours"), "`fastobj kms list` shows"),
        (("create", store, "a b"), "cannot be the id of a key"),
        (("list", tmp_path / "other"), "holds no store"),
        (("create", store, "x", "--kms", "off"), "kms is off"),
    ]:
        status, out, err = run(capsys, *words)
        assert (status, out) == (1, "")
        assert told in err


@pytest.mark.parametrize("words", [["list", "d", "key"], ["create", "d"], ["rotate", "d"]])
def test_a_wrong_call(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["kms", *words])
    assert ended.value.code == 2
    assert "create and rotate take a directory and a key" in capsys.readouterr().err


def test_no_key_is_shown(store, capsys):
    shown = "".join(
        "".join(run(capsys, *words)[1:])
        for words in (("create", store, "k"), ("rotate", store, "k"), ("list", store))
    )
    raw = (store / "kms-keys").read_text()
    for key in local.read(store / "kms-keys")["k"]:
        assert key.value.hex() not in shown
    assert not any(line.split('"')[3] in shown for line in raw.splitlines() if '"key":' in line)
