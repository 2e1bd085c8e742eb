"""Check 45 behind nginx and haproxy: what they let through carries no request past them."""

import contextlib

import pytest

from tests.hardening import proxies
from tests.hardening.raw import Caller, Connection
from tests.hardening.smuggling import (
    CHUNKED,
    FIRST,
    MALFORMED_CHUNKS,
    SMUGGLED,
    UNCLEAR,
    chunk,
    heads,
    malformed_chunks,
    other_line_ends,
    smuggled_request,
    unclear_heads,
)

ANSWERS_MAX = 4
PAUSE_S = 0.2  # a proxy that waits for the rest of a message says nothing
# Headers that a lenient proxy passes on, and that a server must not take for the real ones.
DISGUISED = {
    "underscore in TE": b"Transfer_Encoding: chunked\r\n",
    "underscore in CL": b"Content_Length: {n}\r\n",
    "TE named by a hop": b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
    "CL named by a hop": b"Connection: Content-Length\r\nContent-Length: {n}\r\n",
    "TE of another case": b"tRANSFER-ENCODING: CHUNKED\r\n",
    "upgrade": b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: {n}\r\n",
    "expectation": b"Expect: 100-continue\r\nContent-Length: {n}\r\n",
    "expectation of chunks": b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
}


@pytest.fixture(scope="module", params=proxies.PROXIES)
def proxied(request, server, tmp_path_factory):
    """Sends by way of a proxy."""
    folder = tmp_path_factory.mktemp(request.param)
    with proxies.running(request.param, folder, server.port) as port:
        caller = Caller(server, port=port)
        yield caller
        caller.close()


@pytest.fixture
def place(s3, new_name):
    """A bucket with an object by which answers are told apart."""
    name = new_name()
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="marker", Body=b"marker of " + name.encode())
    return name


def launch(proxied, bucket, attack):
    """Sends an attack, then a request behind it, and waits for what comes."""
    with Connection(proxied.port) as connection:
        connection.send(attack)
        connection.sock.settimeout(PAUSE_S)
        with contextlib.suppress(TimeoutError):
            for _ in range(ANSWERS_MAX):
                if connection.answer() is None:
                    return
                connection.send(proxied.request("GET", bucket, "marker"))


def assert_unharmed(proxied, s3, bucket):
    """Nothing was carried through, and each answer belongs to its request."""
    for _ in range(2):
        answer = proxied("GET", bucket, "marker")
        assert (answer.status, answer.body) == (200, b"marker of " + bucket.encode())
    keys = {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert keys <= {"marker", FIRST}


def test_the_proxy_passes_on_what_it_should(proxied, s3, place):
    assert proxied("PUT", place, FIRST, body=b"body").status == 200
    assert proxied("GET", place, FIRST).body == b"body"
    assert proxied("PUT", place, SMUGGLED, body=b"evil").status == 403
    inside = smuggled_request(proxied, place)
    assert b"smuggled" in inside
    with Connection(proxied.port) as connection:
        head = proxied.head("POST", place, query="delete", lines=CHUNKED)
        connection.send(head + chunk(b"<Delete><Object><Key>first</Key></Object></Delete>"))
        assert connection.answer().status == 200
    assert_unharmed(proxied, s3, place)


def test_unclear_heads(proxied, s3, place):
    for name in UNCLEAR:
        for attack in unclear_heads(proxied, place, name):
            launch(proxied, place, attack.data)
        assert_unharmed(proxied, s3, place)


def test_malformed_chunks(proxied, s3, place):
    for name in MALFORMED_CHUNKS:
        for attack in malformed_chunks(proxied, place, name):
            launch(proxied, place, attack.data)
        assert_unharmed(proxied, s3, place)


def test_disguised_headers(proxied, s3, place):
    for lines in DISGUISED.values():
        for attack in heads(proxied, place, lines):
            launch(proxied, place, attack.data)
        assert_unharmed(proxied, s3, place)


def test_other_line_ends(proxied, s3, place):
    for attack in other_line_ends(proxied, place).values():
        launch(proxied, place, attack)
    assert_unharmed(proxied, s3, place)
