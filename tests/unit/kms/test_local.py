"""The local key service: its file, rotation, several processes, damage."""

import json
import os
import subprocess
import sys
from base64 import b64encode

import pytest

from fastobj.core.secret import Secret
from fastobj.kms import local
from fastobj.kms.base import KeyNotFound, KmsError, KmsUnavailable, WrapMismatch, Wrapped
from fastobj.kms.local import LocalKms


@pytest.fixture
def path(tmp_path):
    return tmp_path / "kms-keys"


@pytest.fixture
def kms(path):
    return LocalKms(path, "default")


async def test_the_default_key_is_made_with_the_first_that_is_asked_for(kms, path):
    assert not path.exists()
    made = await kms.generate("default", b"context")
    assert await kms.unwrap("default", made.wrapped, b"context") == made.plain
    assert path.stat().st_mode & 0o7777 == 0o600
    assert list(local.read(path)) == ["default"]
    assert os.listdir(path.parent) == ["kms-keys"]


async def test_other_keys_are_not(kms):
    assert await kms.exists("default")
    assert not await kms.exists("other")
    with pytest.raises(KeyNotFound, match="fastobj kms create"):
        await kms.generate("other", b"")


async def test_keys_that_are_made_are_seen_by_a_service_that_runs(kms, path):
    await kms.generate("default", b"")
    local.create(path, "other")
    made = await kms.generate("other", b"")
    assert await LocalKms(path, "default").unwrap("other", made.wrapped, b"") == made.plain
    with pytest.raises(WrapMismatch):
        await kms.unwrap("default", made.wrapped, b"")


async def test_a_rotated_key_wraps_anew_and_reads_what_it_wrapped(kms, path):
    first = await kms.generate("default", b"c")
    assert local.rotate(path, "default") == 2
    second = await kms.generate("default", b"c")
    assert (first.wrapped[:4], second.wrapped[:4]) == (b"\0\0\0\1", b"\0\0\0\2")
    fresh = LocalKms(path, "default")
    for made in (first, second):
        assert await fresh.unwrap("default", made.wrapped, b"c") == made.plain
    assert await kms.unwrap("default", await kms.wrap("default", first.plain, b"c"), b"c") == (
        first.plain
    )


async def test_what_another_process_wrapped_after_a_rotation_is_read(kms, path):
    await kms.generate("default", b"")
    other = LocalKms(path, "default")
    local.rotate(path, "default")
    made = await other.generate("default", b"")
    assert await kms.unwrap("default", made.wrapped, b"") == made.plain


async def test_a_version_cannot_be_passed_off_as_another(kms, path):
    made = await kms.generate("default", b"")
    local.rotate(path, "default")
    with pytest.raises(WrapMismatch):
        await kms.unwrap("default", b"\0\0\0\2" + made.wrapped[4:], b"")
    with pytest.raises(KeyNotFound, match="restore"):
        await kms.unwrap("default", b"\0\0\0\3" + made.wrapped[4:], b"")


async def test_without_the_file_nothing_opens(kms, path):
    made = await kms.generate("default", b"")
    path.unlink()
    with pytest.raises((KeyNotFound, WrapMismatch)):
        await LocalKms(path, "default").unwrap("default", made.wrapped, b"")


async def test_a_key_is_made_and_rotated_once_only(path):
    local.create(path, "mine")
    with pytest.raises(KmsError, match="already"):
        local.create(path, "mine")
    with pytest.raises(KeyNotFound, match="no key 'yours'"):
        local.rotate(path, "yours")
    for bad in ("", " ", "a b", "-a", "x" * 257, "a\nb"):
        with pytest.raises(KmsError, match="cannot be the id"):
            local.create(path, bad)


async def test_a_file_that_others_may_read_is_not_used(kms, path):
    await kms.generate("default", b"")
    path.chmod(0o640)
    with pytest.raises(KmsUnavailable, match="chmod 600"):
        await LocalKms(path, "default").generate("default", b"")


@pytest.mark.parametrize("contents", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe"])
async def test_a_file_that_is_none_is_told_without_its_contents(path, contents):
    path.write_bytes(contents)
    path.chmod(0o600)
    with pytest.raises(KmsUnavailable, match="restore it from a backup"):
        await LocalKms(path, "default").generate("default", b"")
    assert path.read_bytes() == contents


async def test_a_damaged_key_is_told_without_its_contents(kms, path):
    await kms.generate("default", b"")
    found = json.loads(path.read_bytes())
    key = found["keys"]["default"][0]["key"]
    for other in (key[:-4], "!!", b64encode(os.urandom(32)).decode()):
        found["keys"]["default"][0]["key"] = other
        path.write_text(json.dumps(found))
        with pytest.raises(KmsUnavailable, match="'default' is damaged") as caught:
            await LocalKms(path, "default").generate("default", b"")
        assert other not in str(caught.value)


async def test_a_newer_format_is_refused(path):
    path.write_text('{"format": 3, "keys": {}}')
    path.chmod(0o600)
    with pytest.raises(KmsUnavailable, match="format 3"):
        await LocalKms(path, "default").exists("default")


async def test_what_a_crash_has_left_does_not_matter(kms, path):
    left = path.with_name("kms-keys.new")
    left.write_text("half a fi")
    left.chmod(0o644)
    await kms.generate("default", b"")
    assert path.stat().st_mode & 0o7777 == 0o600
    assert not left.exists()


def test_processes_that_rotate_at_once_lose_no_version(path):
    local.create(path, "key")
    code = "import sys, pathlib; from fastobj.kms import local\n"
    code += "for _ in range(5): local.rotate(pathlib.Path(sys.argv[1]), 'key')"
    running = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    versions = local.read(path)["key"]
    assert len(versions) == 21
    assert len({version.value for version in versions}) == 21


def test_no_key_is_shown(path):
    local.create(path, "key")
    keys = local.read(path)
    assert repr(keys) == "{'key': [Secret(hidden)]}"
    assert repr(local._Version("abc", "def")) == "_Version(hidden)"
    assert isinstance(keys["key"][0], Secret)


async def test_what_is_wrapped_is_wrapped_anew(kms, path):
    made = [await kms.generate("default", b"%d" % n) for n in range(3)]
    assert await kms.newest("default") == 1
    local.rotate(path, "default")
    assert await kms.newest("default") == 2
    batch = [Wrapped(one.wrapped, b"%d" % n) for n, one in enumerate(made)]
    batch.insert(1, Wrapped(made[0].wrapped, b"another context"))
    found = await kms.rewrap("default", batch)
    assert isinstance(found.pop(1), WrapMismatch)
    for n, (one, anew) in enumerate(zip(made, found, strict=True)):
        assert (kms.version(one.wrapped), kms.version(anew)) == (1, 2)
        assert await kms.unwrap("default", anew, b"%d" % n) == one.plain
    with pytest.raises(KeyNotFound):
        await kms.rewrap("nobody", batch)


def test_what_is_none_of_this_service_has_no_version(kms):
    for wrapped in (b"", b"vault:v1:AAAA", bytes(83), bytes(85)):
        assert kms.version(wrapped) == 0


async def test_a_retired_version_is_gone(kms, path):
    made = [await kms.generate("default", b"")]
    for _ in range(3):
        local.rotate(path, "default")
        made.append(await kms.generate("default", b""))
    before = path.read_text()
    local.retire(path, "default", 3)
    assert json.loads(path.read_text())["format"] == 2
    assert json.loads(path.read_text())["keys"]["default"][:2] == [None, None]
    for version in json.loads(before)["keys"]["default"][:2]:
        assert version["key"] not in path.read_text()
    fresh = LocalKms(path, "default")
    for number, one in enumerate(made, 1):
        if number < 3:
            with pytest.raises(KeyNotFound, match=f"no version {number}"):
                await fresh.unwrap("default", one.wrapped, b"")
        else:
            assert await fresh.unwrap("default", one.wrapped, b"") == one.plain
    assert local.rotate(path, "default") == 5
    assert kms.version(await kms.wrap("default", made[0].plain, b"")) == 5
    for key_id, version in (("default", 6), ("default", 0), ("other", 1)):
        with pytest.raises(KeyNotFound):
            local.retire(path, key_id, version)
