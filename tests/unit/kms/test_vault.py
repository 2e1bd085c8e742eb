"""Vault as the key service: against a small server of Transit, and OpenBao where there is one."""

import json
import os
import time
from base64 import b64encode

import pytest

from fastobj.core.clock import FixedClock, SystemClock
from fastobj.core.secret import Secret
from fastobj.core.settings import Settings
from fastobj.kms import vault_link
from fastobj.kms.base import KeyNotFound, KmsError, KmsUnavailable, WrapMismatch, Wrapped
from fastobj.kms.kept import KeepingKms
from fastobj.kms.vault import VaultKms
from fastobj.kms.vault_link import VaultLink
from fastobj.kms.vault_token import Login, VaultToken
from fastobj.node.encryption import vault
from tests import transit
from tests.unit.http.certificates import make_pair

SETTINGS = {"kms": "vault"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("transit")


@pytest.fixture(scope="module")
def faulty(folder):
    """Ours, which fails on demand."""
    with transit.ours(folder) as server:
        yield server


@pytest.fixture(scope="module", params=["ours", "openbao"])
def server(request, folder):
    """A server of Transit with the key `default`, and one with a name of our own for each test."""
    if request.param == "ours":
        yield request.getfixturevalue("faulty")
    else:
        with transit.openbao(folder) as started:
            yield started


@pytest.fixture
def key(server):
    """A key of Vault with one version, of this test alone."""
    name = f"k-{os.urandom(6).hex()}"
    server.ask("POST", f"transit/keys/{name}", {})
    return name


class Opened:
    """The service as a server has it, closed at the end."""

    def __init__(self, server, **settings):
        ways = {"kms_token", "kms_token_sink", "kms_role_id"}
        if not ways & set(settings):
            role_id, secret_id = transit.make_role(server, 3600)
            settings |= {"kms_role_id": role_id, "kms_secret_id": secret_id}
        self.kms = vault(Settings(kms_endpoint=server.endpoint, **SETTINGS, **settings))

    async def __aenter__(self):
        return self.kms

    async def __aexit__(self, *_):
        await self.kms.close()


# --- what both servers do


async def test_what_is_wrapped_opens_for_its_context_alone(server, key):
    async with Opened(server) as kms:
        made = await kms.generate(key, b"context")
        assert made.wrapped.startswith(b"vault:v1:")
        assert kms.version(made.wrapped) == 1
        assert len(made.plain.value) == 32
        assert await kms.unwrap(key, made.wrapped, b"context") == made.plain
        with pytest.raises(WrapMismatch):
            await kms.unwrap(key, made.wrapped, b"another")
        again = await kms.wrap(key, made.plain, b"another")
        assert await kms.unwrap(key, again, b"another") == made.plain
        other = await kms.generate(key, b"context")
        assert other.plain != made.plain


async def test_damage_is_told_from_a_key_that_is_not_there(server, key):
    async with Opened(server) as kms:
        made = await kms.generate(key, b"")
        damaged = made.wrapped[:-8] + (b"AAAAAAA=" if made.wrapped[-8:-1] != b"AAAAAAA" else b"B")
        for wrapped in (damaged, b"vault:v1:AAAA", b"\0\0\0\1" + bytes(80), b"vault:v0:AAAA"):
            with pytest.raises(WrapMismatch):
                await kms.unwrap(key, wrapped, b"")
        with pytest.raises(KeyNotFound):
            await kms.unwrap(key, b"vault:v9:" + made.wrapped.partition(b"v1:")[2], b"")


async def test_a_key_that_is_not_there_is_not_made(server):
    """Not even with a token that may."""
    async with Opened(server, kms_token=transit.ROOT_TOKEN) as kms:
        for name in ("nobody", "../keys/x", "a/b", "", "é", "a" * 300):
            with pytest.raises(KeyNotFound):
                await kms.generate(name, b"")
            assert not await kms.exists(name)
        assert "nobody" not in await kms.keys()


async def test_rotation_and_rewrapping(server, key):
    async with (
        Opened(server) as kms,
        Opened(server, kms_token=transit.ROOT_TOKEN) as operator,
    ):
        made = [await kms.generate(key, b"%d" % n) for n in range(3)]
        assert await kms.newest(key) == 1
        assert await operator.rotate(key) == 2
        assert (await operator.keys())[key] == 2
        assert await kms.newest(key) == 2
        batch = [Wrapped(one.wrapped, b"%d" % n) for n, one in enumerate(made)]
        batch.insert(1, Wrapped(b"vault:v1:AAAA", b"damaged"))
        found = await kms.rewrap(key, batch)
        assert isinstance(found.pop(1), WrapMismatch)
        for n, (one, anew) in enumerate(zip(made, found, strict=True)):
            assert kms.version(anew) == 2
            assert await kms.unwrap(key, anew, b"%d" % n) == one.plain
            assert await kms.unwrap(key, one.wrapped, b"%d" % n) == one.plain
        await operator.retire(key, 2)
        with pytest.raises(KeyNotFound, match="min_decryption_version"):
            await kms.unwrap(key, made[0].wrapped, b"0")
        assert isinstance((await kms.rewrap(key, batch[:1]))[0], KeyNotFound)
        assert await kms.unwrap(key, found[0], b"0") == made[0].plain


async def test_many_are_rewrapped(server, key):
    async with Opened(server) as kms:
        one = await kms.generate(key, b"c")
        found = await kms.rewrap(key, [Wrapped(one.wrapped, b"c")] * 300)
        assert len({bytes(anew) for anew in found}) == 300
        with pytest.raises(KeyNotFound):
            await kms.rewrap("nobody", [Wrapped(one.wrapped, b"c")])


async def test_keys_are_made(server):
    async with Opened(server, kms_token=transit.ROOT_TOKEN) as kms:
        name = f"new-{os.urandom(4).hex()}"
        await kms.create(name)
        assert await kms.exists(name)
        with pytest.raises(KmsError, match="already"):
            await kms.create(name)


async def test_a_role_may_not_do_what_its_operator_does(server, key):
    async with Opened(server) as kms:
        with pytest.raises(KmsUnavailable, match=f"keys/{key}/rotate"):
            await kms.rotate(key)


# --- tokens


async def test_a_token_that_ends_is_got_anew(server, key):
    role_id, secret_id = transit.make_role(server, 1)
    async with Opened(server, kms_role_id=role_id, kms_secret_id=secret_id) as kms:
        made = await kms.generate(key, b"")
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            assert await kms.unwrap(key, made.wrapped, b"") == made.plain


async def test_a_wrong_secret_id_is_told(server, key):
    role_id, _ = transit.make_role(server, 60)
    async with Opened(server, kms_role_id=role_id, kms_secret_id="wrong-secret") as kms:
        with pytest.raises(KmsUnavailable, match="make a new secret id") as told:
            await kms.generate(key, b"")
    assert "wrong-secret" not in str(told.value)


async def test_a_wrong_token_is_told(server, key):
    async with Opened(server, kms_token="wrong-token") as kms:
        with pytest.raises(KmsUnavailable, match="whether the token is valid") as told:
            await kms.generate(key, b"")
    assert "wrong-token" not in str(told.value)


async def test_the_file_of_an_agent_is_read_again(server, key, tmp_path):
    sink = tmp_path / "token"
    async with Opened(server, kms_token_sink=str(sink)) as kms:
        with pytest.raises(KmsUnavailable, match="kms-token-sink"):
            await kms.generate(key, b"")
        for token in ("wrong-token", transit.ROOT_TOKEN, "wrong-token", transit.ROOT_TOKEN):
            fresh = tmp_path / "fresh"
            fresh.write_text(f"{token}\n")
            fresh.rename(sink)
            if token == transit.ROOT_TOKEN:
                assert await kms.generate(key, b"")
            else:
                with pytest.raises(KmsUnavailable, match="whether the token is valid"):
                    await kms.generate(key, b"")


# --- a server that fails


@pytest.fixture
def sick(faulty):
    """The server that fails on demand, whole again behind the test."""
    yield faulty
    faulty.fault()


async def no_sleep(seconds):
    """Waits for nothing."""


def linked(server, clock, sleep=no_sleep):
    """A service whose clock stands still until it is moved, and the link that it goes over."""
    link = VaultLink(server.endpoint, "", "", clock, sleep)
    role_id, secret_id = transit.make_role(server, 3600)
    login = Login(role_id=role_id, secret_id=Secret(secret_id.encode()))
    return VaultKms(link, VaultToken(link, login, clock), "transit", clock)


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 503}, {"status": 429}, {"cut": 1}, {"body": "hello"}]
)
async def test_what_passes_is_tried_again(sick, fault):
    sick.ask("POST", "transit/keys/default", {})
    kms = linked(sick, FixedClock(1))
    try:
        sick.fault(**fault, times=2)
        made = await kms.generate("default", b"")
        assert await kms.unwrap("default", made.wrapped, b"") == made.plain
        sick.fault(**fault)
        with pytest.raises(KmsUnavailable, match=r"does not answer: .*; look whether it runs"):
            await kms.unwrap("default", made.wrapped, b"")
    finally:
        await kms.close()


async def test_a_server_that_is_down_is_asked_seldom(sick):
    """More and more so; and as ever once it answers."""
    sick.ask("POST", "transit/keys/default", {})
    clock = FixedClock(1)
    kms = linked(sick, clock)
    try:
        made = await kms.generate("default", b"")
        sick.fault(status=503)
        for rest_s in (0.5, 1, 2, 4, 8, 16, 30, 30):
            before = len(sick.asked())
            for _ in range(20):
                with pytest.raises(KmsUnavailable, match="on purpose"):
                    await kms.unwrap("default", made.wrapped, b"")
            assert len(sick.asked()) == before + vault_link.TRIES_MAX
            clock.advance(int(rest_s * 1e9))
        sick.fault()
        assert await kms.unwrap("default", made.wrapped, b"") == made.plain
        sick.fault(status=503, times=1)
        assert await kms.unwrap("default", made.wrapped, b"") == made.plain
    finally:
        await kms.close()


async def test_a_server_that_hangs_is_given_up(sick, monkeypatch):
    monkeypatch.setattr(vault_link, "TRY_S_MAX", 0.2)
    sick.ask("POST", "transit/keys/default", {})
    kms = linked(sick, SystemClock())
    try:
        sick.fault(hang=1, cut=1)
        with pytest.raises(KmsUnavailable, match=r"in time|imeout"):
            await kms.generate("default", b"")
    finally:
        await kms.close()


async def test_an_answer_is_bounded(sick):
    sick.ask("POST", "transit/keys/default", {})
    kms = linked(sick, FixedClock(1))
    try:
        sick.fault(body="x" * 1024, repeat=2048)
        with pytest.raises(KmsUnavailable, match="more than 1048576 bytes"):
            await kms.generate("default", b"")
    finally:
        await kms.close()


@pytest.mark.parametrize(
    "document",
    [{}, {"data": None}, {"data": {"latest_version": "1"}}, {"data": {"ciphertext": "v1"}}, [1]],
)
async def test_answers_that_are_none_of_transit(sick, document):
    sick.ask("POST", "transit/keys/default", {})
    kms = linked(sick, FixedClock(1))
    try:
        made = await kms.generate("default", b"")
        sick.fault(body=json.dumps(document))
        for call in (
            kms.wrap("default", made.plain, b""),
            kms.unwrap("default", made.wrapped, b""),
            kms.newest("default"),
            kms.rewrap("default", [Wrapped(made.wrapped, b"")]),
        ):
            with pytest.raises((KmsUnavailable, WrapMismatch)):
                await call
    finally:
        await kms.close()


async def test_a_wrong_mount_is_told(faulty):
    async with Opened(faulty, kms_mount="elsewhere", kms_token=transit.ROOT_TOKEN) as kms:
        with pytest.raises((KeyNotFound, KmsUnavailable)):
            await kms.generate("default", b"")


async def test_redirects_are_not_followed(sick):
    kms = linked(sick, FixedClock(1))
    try:
        sick.fault(status=307)
        with pytest.raises(KmsUnavailable):
            await kms.generate("default", b"")
    finally:
        await kms.close()


async def test_tls_is_verified(tmp_path):
    """With the authority that is named, and with none else."""
    certs = tmp_path / "certs"
    make_pair(certs, "localhost")
    with transit.ours(tmp_path, certs) as server:
        server.ask("POST", "transit/keys/default", {})
        trusting = {"kms_token": transit.ROOT_TOKEN, "kms_ca": str(certs / "public.crt")}
        async with Opened(server, **trusting) as kms:
            assert await kms.generate("default", b"")
        async with Opened(server, kms_token=transit.ROOT_TOKEN) as kms:
            with pytest.raises(KmsUnavailable, match="kms-ca names whom to trust"):
                await kms.generate("default", b"")
        trusting["kms_ca"] = __file__
        async with Opened(server, **trusting) as kms:
            with pytest.raises(KmsUnavailable, match="holds no certificates"):
                await kms.generate("default", b"")


# --- keys that are kept


async def test_kept_keys_are_read_while_the_server_is_away(sick):
    sick.ask("POST", "transit/keys/default", {})
    clock = FixedClock(1)
    kms = KeepingKms(linked(sick, clock), 60, clock)
    try:
        made = await kms.generate("default", b"c")
        old = await kms.wrap("default", made.plain, b"old")
        assert await kms.unwrap("default", old, b"old") == made.plain
        before = len(sick.asked())
        sick.fault(status=503)
        assert await kms.unwrap("default", made.wrapped, b"c") == made.plain
        assert await kms.unwrap("default", old, b"old") == made.plain
        assert len(sick.asked()) == before
        for wrapped, context in ((made.wrapped, b"other"), (old, b"c")):
            with pytest.raises(KmsUnavailable):
                await kms.unwrap("default", wrapped, context)
        clock.advance(60 * 10**9)
        with pytest.raises(KmsUnavailable):
            await kms.unwrap("default", old, b"old")
    finally:
        await kms.close()


async def test_how_many_are_kept_is_bounded(sick, monkeypatch):
    monkeypatch.setattr("fastobj.kms.kept.KEYS_MAX", 3)
    sick.ask("POST", "transit/keys/default", {})
    kms = KeepingKms(linked(sick, FixedClock(1)), 60, FixedClock(1))
    try:
        made = [await kms.generate("default", b"") for _ in range(5)]
        before = len(sick.asked())
        for one in made[2:]:
            assert await kms.unwrap("default", one.wrapped, b"") == one.plain
        assert len(sick.asked()) == before
        assert await kms.unwrap("default", made[0].wrapped, b"") == made[0].plain
        assert len(sick.asked()) == before + 1
    finally:
        await kms.close()


async def test_no_key_is_sent_in_the_clear_to_be_stored(faulty):
    """What the server has kept of its requests holds no token, and no key of an object."""
    async with Opened(faulty, kms_token=transit.ROOT_TOKEN) as kms:
        faulty.ask("POST", "transit/keys/default", {})
        made = await kms.generate("default", b"")
        assert b64encode(made.plain.value)[:40] not in made.wrapped
        assert transit.ROOT_TOKEN not in repr(vars(kms))
