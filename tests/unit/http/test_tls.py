"""TLS: which certificate a client is shown, what is refused, and files that are replaced."""

import asyncio
import gc
import random
import shutil
import socket
import ssl
from pathlib import Path

import pytest
import uvloop

from fastobj.core.clock import FixedClock, SystemClock
from fastobj.core.setting_sources import SettingsError
from fastobj.http.connection import Connection
from fastobj.http.cut import Cut
from fastobj.http.deadline import Timeouts
from fastobj.http.tls import Certificates
from tests.unit.http.certificates import encrypt_key, make_pair, make_signed, rsa
from tests.unit.http.wire import MIB, chunked, get, request, site, stream_bytes

CENTURY_NS = 100 * 365 * 86400 * 10**9


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a default certificate, one with a wildcard, one with two names, and others."""
    folder = make_pair(tmp_path_factory.mktemp("made") / "certs", "localhost", "www.example.org")
    make_pair(folder / "b-wild", "*.example.org", "example.org", key=rsa(2048))
    make_pair(folder / "c-exact", "one.example.org", "two.example.net")
    (folder / "CAs").mkdir()
    (folder / "readme.txt").write_text("none of the server's business")
    make_pair(folder / ".hidden", "hidden.example.com")
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    """The same, for a test that changes it."""
    return Path(shutil.copytree(made, tmp_path / "certs"))


def load(folder: Path, version_min: str = "1.2") -> Certificates:
    return Certificates(folder, version_min, SystemClock())


def trusting(*files: Path) -> ssl.SSLContext:
    """A client that trusts these certificates and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for file in files:
        context.load_verify_locations(file)
    return context


def shake(asking: ssl.SSLContext, serving: ssl.SSLContext, name: str | None, session=None):
    """A handshake in memory, and the first bytes behind it; returns the client's side."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server, server_hostname=name, session=session)
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server) * 3:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    server.write(b"hello")
    assert client.read(5) == b"hello"
    return client


def shown_to(certificates: Certificates, name: str | None) -> bytes:
    """The certificate that a client which asks for this name is shown."""
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    certificate = shake(asking, certificates.context, name).getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def in_file(folder: Path) -> bytes:
    pem = (folder / "public.crt").read_text()
    return ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END") + 25])


# --- the choice


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (None, "."),
        ("localhost", "."),
        ("unknown.example.com", "."),
        ("hidden.example.com", "."),
        ("192.0.2.1", "."),
        ("www.example.org", "."),  # exact there, and a wildcard elsewhere
        ("one.example.org", "c-exact"),
        ("other.example.org", "b-wild"),
        ("OTHER.Example.Org", "b-wild"),
        ("example.org", "b-wild"),
        ("a.b.example.org", "."),  # a wildcard stands for one label
        ("two.example.net", "c-exact"),
    ],
)
def test_the_name_chooses_the_certificate(made, name, place):
    assert shown_to(load(made), name) == in_file(made / place)


def test_clients_can_verify_what_they_are_shown(made):
    certificates = load(made)
    for place, name in ((".", "localhost"), ("b-wild", "x.example.org")):
        shake(trusting(made / place / "public.crt"), certificates.context, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(trusting(made / "b-wild" / "public.crt"), certificates.context, "localhost")


def test_a_chain_is_sent_whole(tmp_path):
    authority = make_signed(tmp_path / "certs", "signed.example.org")
    certificates = load(tmp_path / "certs")
    shake(trusting(authority), certificates.context, "signed.example.org")


def test_versions_ciphers_and_protocol(made):
    for version_min, old, refused in [("1.2", "TLSv1_2", False), ("1.3", "TLSv1_2", True)]:
        asking = trusting(made / "public.crt")
        asking.set_alpn_protocols(["h2", "http/1.1"])
        context = load(made, version_min).context
        client = shake(asking, context, "localhost")
        assert (client.version(), client.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        asking.maximum_version = ssl.TLSVersion[old]
        if refused:
            with pytest.raises(ssl.SSLError):
                shake(asking, context, "localhost")
        else:
            client = shake(asking, context, "localhost")
            assert (client.version(), client.compression()) == ("TLSv1.2", None)
            assert "GCM" in client.cipher()[0] or "CHACHA20" in client.cipher()[0]
    asking = trusting(made / "public.crt")
    asking.maximum_version = ssl.TLSVersion.TLSv1_2
    asking.set_ciphers("ECDHE+AES:!AESGCM:!AESCCM")
    with pytest.raises(ssl.SSLError):
        shake(asking, load(made).context, "localhost")


def test_a_client_is_not_asked_for_a_certificate(made):
    assert load(made).context.verify_mode is ssl.CERT_NONE


# --- what is refused


def _swap_keys(folder):
    shutil.copy(folder / "c-exact" / "private.key", folder / "private.key")


def _other_kind(folder):
    shutil.copy(folder / "b-wild" / "private.key", folder / "private.key")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (shutil.rmtree, r"certs: No such file or directory: it has to be there, and readable"),
        (lambda f: (f / "public.crt").unlink(), r"certs/public.crt: No such file"),
        (lambda f: (f / "private.key").unlink(), r"certs/private.key: No such file"),
        (lambda f: (f / "b-wild" / "private.key").unlink(), r"b-wild/private.key: No such file"),
        (lambda f: (f / "public.crt").write_text(""), r"public.crt .* not a certificate in PEM"),
        (lambda f: (f / "private.key").write_text("x"), r"private.key .* not a private key in PEM"),
        (lambda f: shutil.copy(f / "private.key", f / "public.crt"), r"public.crt .* PEM form"),
        (_swap_keys, r"certs cannot be used: private.key is not the key of the first certificate"),
        (_other_kind, r"private.key is a key of another kind"),
        (encrypt_key, r"private.key .* encrypted: write it without a password"),
        (lambda f: make_pair(f, "a", key=rsa(1024)), r"the key is too short to be safe"),
        (lambda f: _cut_in_half(f / "public.crt"), r"public.crt .* PEM form"),
        (lambda f: _cut_in_half(f / "private.key"), r"cannot be used: OpenSSL says"),
        (lambda f: _damage(f / "public.crt"), r"cannot be used: OpenSSL says"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(folder, spoil, told):
    spoil(folder)
    with pytest.raises(SettingsError, match=told) as refused:
        load(folder)
    assert str(refused.value).startswith("tls-certs: ")
    assert "BEGIN" not in str(refused.value)


def _cut_in_half(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def _damage(file):
    lines = file.read_text().splitlines()
    lines[2] = lines[2][::-1]
    file.write_text("\n".join(lines) + "\n")


def test_an_expired_certificate_is_remarked_and_used(made):
    assert load(made).remarks == []
    later = Certificates(made, "1.2", FixedClock(CENTURY_NS))
    assert len(later.remarks) == 3
    assert f"{made} has expired" in later.remarks[0]
    assert shown_to(later, None) == in_file(made)


# --- files that are replaced


def test_replaced_files_are_taken_at_a_reload(folder):
    certificates = load(folder)
    before = in_file(folder)
    make_pair(folder, "localhost", key=rsa(2048))  # of another kind
    make_pair(folder / "d-new", "new.example.com")
    shutil.rmtree(folder / "c-exact")
    assert shown_to(certificates, None) == before
    assert certificates.have_changed()
    assert certificates.reload() == []
    assert not certificates.have_changed()
    assert before != shown_to(certificates, None) == in_file(folder)
    assert shown_to(certificates, "new.example.com") == in_file(folder / "d-new")
    assert shown_to(certificates, "two.example.net") == in_file(folder)
    assert shown_to(certificates, "one.example.org") == in_file(folder / "b-wild")


@pytest.mark.parametrize(
    "spoil",
    [
        _swap_keys,
        lambda f: (f / "public.crt").unlink(),
        lambda f: _cut_in_half(f / "private.key"),
        encrypt_key,
    ],
)
def test_a_broken_pair_is_told_and_the_old_one_stays(folder, spoil):
    certificates = load(folder)
    before = in_file(folder)
    spoil(folder)
    make_pair(folder / "c-exact", "one.example.org")
    assert certificates.have_changed()
    [remark] = certificates.reload()
    assert str(folder) in remark
    assert "stays" in remark
    assert not certificates.have_changed()  # it is told once
    assert shown_to(certificates, None) == before
    assert shown_to(certificates, "one.example.org") == in_file(folder / "c-exact")
    make_pair(folder, "localhost")
    assert certificates.have_changed()
    assert certificates.reload() == []
    assert shown_to(certificates, None) == in_file(folder)


def test_a_folder_that_is_gone_changes_nothing(folder):
    certificates = load(folder)
    before = [shown_to(certificates, name) for name in (None, "x.example.org")]
    shutil.rmtree(folder)
    assert certificates.have_changed()
    assert len(certificates.reload()) == 1
    assert not certificates.have_changed()
    assert [shown_to(certificates, name) for name in (None, "x.example.org")] == before


def test_a_folder_that_is_replaced_by_a_link_is_noticed(made, tmp_path):
    """As volumes of containers are: a link to a folder with a hidden name, replaced at once."""
    for number in (1, 2):
        make_pair(tmp_path / "certs" / f"..{number}", "localhost")
    (tmp_path / "certs" / "..data").symlink_to("..1")
    for name in ("public.crt", "private.key"):
        (tmp_path / "certs" / name).symlink_to(f"..data/{name}")
    certificates = load(tmp_path / "certs")
    (tmp_path / "certs" / "..new").symlink_to("..2")
    (tmp_path / "certs" / "..new").rename(tmp_path / "certs" / "..data")
    assert certificates.have_changed()
    assert certificates.reload() == []
    assert shown_to(certificates, None) == in_file(tmp_path / "certs" / "..2")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("name", ["localhost", "x.example.org"])
def test_a_session_goes_on_after_a_reload(folder, version, name):
    certificates = load(folder)
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    asking.maximum_version = ssl.TLSVersion[version]
    session = shake(asking, certificates.context, name).session
    assert shake(asking, certificates.context, name, session).session_reused
    make_pair(folder, "localhost")
    certificates.reload()
    assert shake(asking, certificates.context, name, session).session_reused
    assert not shake(asking, load(folder).context, name, session).session_reused


# --- on a server


async def _talk_tls(made: Path) -> None:
    asking = trusting(made / "public.crt")
    async with site(ssl=load(made).context) as place:
        client = await place.client(ssl=asking, server_hostname="localhost")
        for size in (0, 1, 100_000, 5 * MIB):
            body = random.Random(size).randbytes(size)
            assert (await client.ask(request("PUT", "/echo", body=body)))[2] == body
            coded = request("PUT", "/echo", "Transfer-Encoding: chunked") + chunked(body, [7, 9])
            assert (await client.ask(coded))[2] == body
        assert place.bench.requests[-1].secure
        answer = await client.ask(get(f"/stream?{5 * MIB},{5 * MIB},-1"))
        assert answer[2] == stream_bytes(5 * MIB)
        answer = await client.ask(request("PUT", "/ignore", body=bytes(MIB)))
        assert (answer[0], answer[1]["connection"]) == (403, "close")


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.SelectorEventLoop])
def test_requests_over_tls(made, loop_factory):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_talk_tls(made))


async def test_plain_http_on_a_tls_port_ends_cleanly(made):
    async with site(ssl=load(made).context) as place:
        client = await place.client()
        await client.send(get("/echo"))
        assert not (await client.rest()).startswith(b"HTTP")
        assert place.bench.requests == []
        assert place.bench.reported == []


async def _adopted(place):
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    listener.close()
    accepted.setblocking(False)
    return ours, asyncio.ensure_future(place.server.adopt(accepted))


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", get("/echo"), None])
async def test_a_handshake_that_fails_is_counted_and_leaves_nothing(made, sent):
    async with site(Timeouts(handshake_s=0.05), ssl=load(made).context) as place:
        ours, adopting = await _adopted(place)
        if sent is None:
            ours.close()
        else:
            ours.sendall(sent)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await adopting
        assert place.bench.cuts == [Cut.HANDSHAKE]
        assert place.bench.reported == []
        assert place.server.connections == 0
        ours.close()


async def test_without_room_there_is_no_handshake(made):
    async with site(ssl=load(made).context, connections_max=1) as place:
        client = await place.client(ssl=trusting(made / "public.crt"), server_hostname="localhost")
        await client.send(get("/wait"))
        await place.until(lambda: place.bench.requests)
        ours, adopting = await _adopted(place)
        await adopting
        assert ours.recv(1) == b""
        ours.close()
        assert place.bench.cuts == [Cut.CONNECTIONS]
        place.bench.gate.set()
        assert (await client.response())[2] == b"waited"
        ours, adopting = await _adopted(place)  # takes the place of the one that rests by now
        assert await client.rest() == b""
        ours.close()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await adopting


@pytest.mark.parametrize("secure", [False, True])
async def test_closed_connections_need_no_garbage_collector(made, secure):
    options = {"ssl": trusting(made / "public.crt"), "server_hostname": "localhost"}
    async with site(ssl=load(made).context if secure else None) as place:
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                client = await place.client(**(options if secure else {}))
                assert (await client.ask(request("PUT", "/echo", body=b"12345")))[2] == b"12345"
                client.writer.close()
            await place.until(lambda: not place.server.connections)
            place.bench.requests.clear()
            await place.until(lambda: not any(map(_is_connection, gc.get_objects())))
        finally:
            gc.enable()


def _is_connection(thing):
    return type(thing) is Connection


async def test_clients_that_do_not_read_are_cut_over_tls(made):
    async with site(Timeouts(write_s=0.1), ssl=load(made).context) as place:
        client = await place.client(ssl=trusting(made / "public.crt"), server_hostname="localhost")
        client.writer.transport.pause_reading()
        await client.send(get("/stream?1000000000,1000000000,-1"))
        await place.until(lambda: place.bench.cuts)
        assert place.bench.cuts == [Cut.WRITE]
        await place.until(lambda: not place.server.connections)
