"""Check 47: whatever stands in a request line, the answer is no fault of the server's."""

import pytest

from fastobj.s3.operations import OPERATIONS
from fastobj.s3.router import SUBRESOURCES
from tests.hardening.raw import Connection
from tests.hardening.rows import minimal, place

# {host} is the server's own address. Each of these ends the connection.
REFUSED_LINES = [
    "GET  HTTP/1.1",
    "GET HTTP/1.1",
    "GET * HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "PUT * HTTP/1.1",
    "GET http://{host}/ HTTP/1.1",
    "GET http://{host} HTTP/1.1",
    "GET http://{host}/bucket/key HTTP/1.1",
    "GET https://other.example/bucket HTTP/1.1",
    "GET http:///bucket HTTP/1.1",
    "GET //user@{host}:x HTTP/1.2x",
    "GET bucket/key HTTP/1.1",
    "GET ?a HTTP/1.1",
    "GET #a HTTP/1.1",
    "CONNECT {host} HTTP/1.1",
    "CONNECT other.example:443 HTTP/1.1",
    "GET / HTTP/1.1 HTTP/1.1",
    "GET / HTTP/1.1x",
    "GET / HTTP/11",
    "GET / HTTP/9.9",
    "GET / http/1.1",
    "GET / ICAP/1.0",
    "get / HTTP/1.1",
    "FROB / HTTP/1.1",
    "GET\t/\tHTTP/1.1",
    " GET / HTTP/1.1",
    "GET /\x01 HTTP/1.1",
    "GET /\xff HTTP/1.1",
    "PRI * HTTP/2.0",
]
ODD_PATHS = [
    "/",
    "//",
    "///",
    "//a",
    "/./",
    "/..",
    "/%2e%2e/",
    "/%",
    "/%zz",
    "/%00",
    "/%ff",
    "/~",
    "/:",
]
ODD_QUERIES = [
    "",
    "?",
    "??",
    "?=",
    "?&",
    "?&&&",
    "?=a",
    "?%",
    "?%zz",
    "?%ff",
    "?a=%00",
    "?a=b=c",
    "?;",
]
ESCAPES = ["%", "%2", "%zz", "%%", "%ff", "%u0041", "a%c3"]
ESCAPED = ("%2f", "%00", "%0a", "%ff", "%c3%a9", "%%")
LETTERS = [*"ab/?&=%+.;:@#~\\|\"'<>[]{}*$!,_-0179", *ESCAPED]


@pytest.mark.parametrize("line", REFUSED_LINES, ids=ascii)
def test_other_request_lines_are_refused(server, line):
    host = f"127.0.0.1:{server.port}"
    head = f"{line.format(host=host)}\r\nHost: {host}\r\n\r\n".encode("latin-1")
    with Connection(server.port) as connection:
        connection.send(head)
        answer = connection.answer()
        assert answer.status in (400, 505)
        assert answer.headers["connection"] == "close"
        assert connection.rest() == b""


def test_without_a_signature_odd_targets_are_denied_or_refused(server):
    """Unless they name a page of the server's own."""
    with Connection(server.port) as connection:
        for path in ODD_PATHS:
            for query in ODD_QUERIES:
                connection.send(f"GET {path}{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                answer = connection.answer()
                assert answer.status in (400, 403), path + query
                assert answer.code in ("InvalidURI", "AccessDenied")


@pytest.mark.parametrize("host", ["", " ", "a b", "[::1", "@", "..", "a:b:c", "%00", "\xff", "a/b"])
def test_no_host_is_a_fault(server, host):
    """Nobody signs them, so they end at the signature at the latest."""
    with Connection(server.port) as connection:
        connection.send(f"GET /bucket/key HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
        assert connection.answer().status in (400, 403)


def test_a_host_is_needed_once(server):
    for hosts in ("", "Host: a\r\nHost: a\r\n", "Host: a\r\nHost: b\r\n"):
        with Connection(server.port) as connection:
            connection.send(f"GET /bucket/key HTTP/1.1\r\n{hosts}\r\n".encode())
            assert connection.answer().status == 400
            assert connection.rest() == b""


def test_bad_escapes_are_refused_by_every_row(caller, bucket):
    for op in OPERATIONS:
        for escape in ESCAPES:
            asked = minimal(op)
            name, key = place(op, bucket, "key")
            query = f"{asked.query}&a={escape}" if asked.query else f"a={escape}"
            answer = caller(op.method, name, key, query=query, headers=asked.headers)
            assert answer.status == 400, (op.name, escape)
            assert op.method == "HEAD" or answer.code == "InvalidURI"


def test_odd_targets_are_no_faults(caller, bucket, rng):
    """Signed, so that they come as far as they can. The seed of the run repeats them."""
    known = sorted(set().union(*SUBRESOURCES.values()) | {"versionId", "partNumber", "list-type"})
    for _ in range(400):
        path = "".join(rng.choices(LETTERS, k=rng.randrange(12))).replace("?", "").replace("#", "")
        pairs = [
            rng.choice([*known, *LETTERS]) + "=" + "".join(rng.choices(LETTERS, k=rng.randrange(4)))
            for _ in range(rng.randrange(4))
        ]
        query = "&".join(pairs).replace("#", "").replace("?", "")
        method = rng.choice(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE"])
        names = rng.choice([("", path), (bucket, path), (path, ""), (bucket, "")])
        answer = caller(method, *names, query=query)
        assert answer.status < 500 or answer.status == 501, (method, names, query)
