"""TLS on the whole server: both addresses, sessions over workers, certificates that change."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from fastobj.testing.process_server import ProcessServer
from tests.unit.http.certificates import make_pair, rsa
from tests.unit.node.running import Client, kill, metrics, on_each_worker, wait_until, workers

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server that speaks TLS. Its folder of certificates is `authorities`' parent."""
    place = tmp_path_factory.mktemp("tls")
    certs = make_pair(place / "certs", "localhost")
    make_pair(certs / "other", "*.example.org")
    with ProcessServer(place / "store", certs=certs) as running:
        with Client(running) as client:
            assert client("PUT", "/bucket")[0] == 200
        yield running


def _certs(server: ProcessServer) -> Path:
    assert server.authorities is not None
    return server.authorities.parent


def _open(port: int, context: ssl.SSLContext, name: str | None = None, session=None):
    raw = socket.create_connection(("127.0.0.1", port), timeout=30)
    return context.wrap_socket(raw, server_hostname=name, session=session)


def _any(version: str = "TLSv1_3") -> ssl.SSLContext:
    """A client that takes every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion[version]
    return context


def _ask(sock: ssl.SSLSocket) -> None:
    sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while b"live" not in answer:
        answer += sock.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def _shown(server: ProcessServer, name: str | None = None) -> bytes:
    with _open(server.port, _any(), name) as sock:
        _ask(sock)
        certificate = sock.getpeercert(binary_form=True)
        assert certificate is not None
        return certificate


def _in_file(folder: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert((folder / "public.crt").read_text())


def test_boto3_stores_and_reads(server):
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
        verify=str(server.authorities),
        config=Config(
            signature_version="s3v4",
            retries={"max_attempts": 1},
            request_checksum_calculation="when_required",
        ),
    )
    for size in (0, 5, 100_000, 20 * MIB + 7):
        body = os.urandom(size)
        s3.put_object(Bucket="bucket", Key="k", Body=body)
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == body
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"})
    assert url.startswith("https://")


def test_the_console_speaks_it_too(server):
    trust = ssl.create_default_context(cafile=server.authorities)
    console = http.client.HTTPSConnection("127.0.0.1", server.console_port, context=trust)
    with contextlib.closing(console):
        console.request("GET", "/health/ready")
        assert console.getresponse().status == 200


def test_the_name_chooses(server):
    assert _shown(server, "a.example.org") == _in_file(_certs(server) / "other")
    assert _shown(server, "localhost") == _in_file(_certs(server))
    assert _shown(server) == _in_file(_certs(server))


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_goes_on_in_every_worker(server, version):
    context = _any(version)
    clients = on_each_worker(server)
    with contextlib.ExitStack() as held:
        for client in clients:
            held.enter_context(client)
        first = held.enter_context(_open(server.port, context))
        _ask(first)
        session = first.session
        pids = set()
        while pids != set(workers(server)):  # each new one goes to the worker with the fewest
            sock = held.enter_context(_open(server.port, context, session=session))
            assert sock.session_reused
            _ask(sock)
            pids.add(_worker_of(server, sock))


def _worker_of(server: ProcessServer, sock: ssl.SSLSocket) -> int:
    with Client(server) as client:
        client.http.sock.close()
        client.http.sock = sock
        pid = client.worker()
        client.http.sock = None
        return pid


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", b"\x16\x03\x01\x00"])
def test_what_is_no_handshake_ends_cleanly(server, sent):
    before = metrics(server).get('http_cut_total{limit="handshake"}', 0)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := sock.recv(1000):
                answer += piece
        assert not answer.startswith(b"HTTP")
    wait_until(lambda: metrics(server)['http_cut_total{limit="handshake"}'] > before, "the count")
    assert "Traceback" not in server.log_end(1000)
    assert "ERROR" not in server.log_end(1000)


# --- certificates that change


def test_replaced_files_are_taken_with_the_next_connections(server):
    certs = _certs(server)
    context = _any()
    with _open(server.port, context) as kept:
        _ask(kept)
        make_pair(certs, "localhost", key=rsa(2048))
        make_pair(certs / "late", "late.example.com")
        wait_until(lambda: _shown(server) == _in_file(certs), "another certificate")
        for _ in range(4):
            assert _shown(server) == _in_file(certs)
            assert _shown(server, "late.example.com") == _in_file(certs / "late")
        _ask(kept)  # connections go on
        with _open(server.port, context, session=kept.session) as again:
            assert again.session_reused
    kill(server, "worker")
    for _ in range(4):  # one that is started later has it too
        assert _shown(server) == _in_file(certs)


def test_a_broken_pair_is_told_and_the_old_one_stays(server):
    certs = _certs(server)
    before, key = _in_file(certs), (certs / "private.key").read_bytes()
    (certs / "private.key").write_bytes((certs / "other" / "private.key").read_bytes())
    wait_until(lambda: _shown(server) and "cannot be used" in server.log_end(), "a word about it")
    for _ in range(4):
        assert _shown(server) == before
    (certs / "private.key").write_bytes(key)


def test_a_hangup_reads_them_again_and_again(server):
    assert server.process is not None
    certs = _certs(server)
    for turn in range(3):
        make_pair(certs / "hung", f"h{turn}.example.com")
        said = server.log_end(1000).count("certificates were read again")
        os.kill(server.process.pid, signal.SIGHUP)
        wait_until(
            lambda seen=said: server.log_end(1000).count("certificates were read again") > seen,
            "the reload",
        )
        assert _shown(server, f"h{turn}.example.com") == _in_file(certs / "hung")
    assert server.is_ready()


# --- a start that is refused


def _swapped(certs):
    (certs / "private.key").write_bytes((certs / "other" / "private.key").read_bytes())


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda certs: (certs / "private.key").unlink(), "private.key: No such file"),
        (_swapped, "private.key is not the key of the first certificate in public.crt"),
    ],
)
def test_a_bad_folder_is_named_with_the_cure(tmp_path, spoil, told):
    certs = make_pair(tmp_path / "certs", "localhost")
    make_pair(certs / "other", "other")
    spoil(certs)
    server = ProcessServer(tmp_path / "store", certs=certs)
    server.launch()
    assert server.process is not None
    assert server.process.wait(30) == 1
    [line] = server.log_end().splitlines()
    assert line.startswith(f"fastobj server: tls-certs: {certs}")
    assert told in line


def test_the_oldest_version_is_set(tmp_path):
    certs = make_pair(tmp_path / "certs", "localhost")
    with ProcessServer(
        tmp_path / "store", certs=certs, arguments=("--tls-min-version", "1.3")
    ) as server:
        with _open(server.port, _any()) as sock:
            _ask(sock)
        with pytest.raises(ssl.SSLError):
            _open(server.port, _any("TLSv1_2"))
