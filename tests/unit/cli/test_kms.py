"""`fastobj kms`: keys are listed, made and rotated, and none is shown."""

import asyncio

import pytest

from fastobj.cli.main import main
from fastobj.kms import local
from fastobj.kms.local import LocalKms
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, Row, Txn, new_txn_id
from fastobj.node import layout
from fastobj.node.recovered_store import RecoveredStore
from fastobj.objects.encryption import bound
from tests import transit


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


@pytest.mark.parametrize(
    "words",
    [
        ["list", "d", "key"],
        ["status", "d", "key"],
        ["create", "d"],
        ["rotate", "d"],
        ["retire", "d"],
    ],
)
def test_a_wrong_call(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["kms", *words])
    assert ended.value.code == 2
    assert "create, rotate and retire take a directory and a key" in capsys.readouterr().err


def test_no_key_is_shown(store, capsys):
    shown = "".join(
        "".join(run(capsys, *words)[1:])
        for words in (("create", store, "k"), ("rotate", store, "k"), ("list", store))
    )
    raw = (store / "kms-keys").read_text()
    for key in local.read(store / "kms-keys")["k"]:
        assert key.value.hex() not in shown
    assert not any(line.split('"')[3] in shown for line in raw.splitlines() if '"key":' in line)


# --- versions that are in use


def write(store, *rows):
    """Commits rows to a store at rest."""

    async def commit(opened):
        await opened.engine.commit(Txn(new_txn_id(), list(rows)))

    opened = RecoveredStore(layout.find(store))
    try:
        asyncio.run(commit(opened))
    finally:
        opened.close()


def an_object(store, name=b"key", key_id="mine"):
    """The row of an object without a body, whose key the newest version has wrapped."""
    kms = LocalKms(store / "kms-keys", "default")
    made = asyncio.run(kms.generate(key_id, bound("AES256")))
    encryption = records.Encryption("AES256", made.wrapped, key_id)
    record = records.ObjectRecord(1, b"", b"", 0, "", 7, encryption=encryption)
    return Row(keys.CURRENT, keys.current(b"8 bytes.", name), ANY, records.encode(record))


def test_retiring_refuses_while_something_needs_an_older_version(store, capsys):
    run(capsys, "create", store, "mine")
    run(capsys, "create", store, "yours")
    write(store, an_object(store, b"a"), an_object(store, b"b"), an_object(store, b"c", "yours"))
    for _ in range(2):
        run(capsys, "rotate", store, "mine")
    status, out, err = run(capsys, "retire", store, "mine")
    assert (status, out) == (1, "")
    assert "version 1 of mine is needed by 2 objects and uploads" in err
    assert "fastobj kms status" in err
    assert len([one for one in local.read(store / "kms-keys")["mine"] if one]) == 3
    write(store, an_object(store, b"a"), an_object(store, b"b"))
    assert run(capsys, "retire", store, "mine")[0] == 0
    assert (
        run(capsys, "list", store)[1] == "mine  3 versions, 2 of them retired\nyours  1 version\n"
    )
    assert run(capsys, "retire", store, "nobody")[0] == 1


def test_retiring_refuses_what_it_cannot_tell(store, capsys):
    """A row that cannot be read may need any version; so may what another service has wrapped."""
    run(capsys, "create", store, "mine")
    run(capsys, "rotate", store, "mine")
    row = an_object(store)
    broken = Row(keys.CURRENT, keys.current(b"8 bytes.", b"broken"), ANY, b"\xc1")
    write(store, row, broken)
    status, _, err = run(capsys, "retire", store, "mine")
    assert status == 1
    assert "does not decode" in err
    record = records.decode(records.ObjectRecord, row.value)
    strange = records.Encryption("AES256", b"vault:v1:AAAA", "mine")
    value = records.encode(records.ObjectRecord(*_fields(record, encryption=strange)))
    write(store, Row(keys.CURRENT, broken.key, ANY, value))
    assert "another key service has wrapped" in run(capsys, "retire", store, "mine")[2]


def _fields(record, **changed):
    return [changed.get(name, getattr(record, name)) for name in record.__struct_fields__]


def test_status(store, capsys):
    write(store)
    assert run(capsys, "status", store)[:2] == (0, "nothing is encrypted with a key here yet\n")
    for key_id in ("done", "old"):
        run(capsys, "create", store, key_id)
        run(capsys, "rotate", store, key_id)
    noted = {"done": 2, "old": 1, "gone": 1}
    rows = [
        Row(keys.KMS_KEYS, key_id.encode(), ANY, records.encode(records.KmsKeyRecord(1, version)))
        for key_id, version in noted.items()
    ]
    job = records.RewrapRecord(1, 7, {"old": 2}, keys.CURRENT, b"", 5, {"old": 1})
    write(store, *rows, Row(keys.JOBS, keys.JOB_REWRAP, ANY, records.encode(job)))
    assert run(capsys, "status", store)[1].splitlines() == [
        "done  version 2; older ones are not needed",
        "gone  is not there any more: what it has wrapped cannot be read",
        "old  version 2; those from 1 on may still be needed",
        "rewrapping goes on: 5 rewrapped, 1 failed until lately",
    ]


def test_keys_in_vault(store, tmp_path, capsys, monkeypatch):
    with transit.ours(tmp_path) as server:
        monkeypatch.setenv("VAULT_TOKEN", transit.ROOT_TOKEN)
        vault = ("--kms", "vault", "--kms-endpoint", server.endpoint)
        assert "no keys in transit of Vault at" in run(capsys, "list", store, *vault)[1]
        assert run(capsys, "create", store, "mine", *vault)[0] == 0
        assert "already" in run(capsys, "create", store, "mine", *vault)[2]
        assert "version 2 now" in run(capsys, "rotate", store, "mine", *vault)[1]
        assert run(capsys, "list", store, *vault)[1] == "mine  version 2\n"
        write(store)
        assert "below 2 open nothing" in run(capsys, "retire", store, "mine", *vault)[1]
        assert "there is no key" in run(capsys, "rotate", store, "nobody", *vault)[2]
        assert not (store / "kms-keys").exists()
