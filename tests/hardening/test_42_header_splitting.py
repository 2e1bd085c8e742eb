"""Check 42: no byte of a client's ends a header line of an answer."""

import re
from urllib.parse import quote

import pytest

from tests.hardening.raw import Connection

EVIL = "x-evil: 1"
ENDS = ["\r\n", "\n", "\r", "\0", "\v", "\f", "\x1b", "\x7f", "\r\n ", "\n\t", "\r\n\r\n<b>"]
# Characters whose lowest byte, or whose look, is a line end.
LOOKALIKES = ["\u010d\u010a", "\u560d\u560a", "\u2028", "\u0085", "\uff0a", "%0d%0a", "\\r\\n"]
OVERRIDES = (
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
)
KEY = "key"


@pytest.fixture(scope="session")
def full(call, s3):
    """A bucket with one object, made once and only read."""
    name = "hardening-header-splitting"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key=KEY, Body=b"body")
    return name


def lines_of(server, data):
    """The lines of an answer's head, as they come over the wire, cut at any line end."""
    with Connection(server.port) as connection:
        connection.send(data.replace(b"\r\nHost:", b"\r\nConnection: close\r\nHost:", 1))
        head, _, _ = connection.rest().partition(b"\r\n\r\n")
    return re.split(rb"\r\n|\r|\n", head)


@pytest.mark.parametrize("end", ENDS, ids=ascii)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_overrides_with_line_ends_are_refused(caller, server, full, method, end):
    for name in OVERRIDES:
        query = f"{name}={quote(f'text{end}{EVIL}')}"
        answer = caller(method, full, KEY, query=query)
        assert answer.status == 400
        assert method == "HEAD" or answer.code == "InvalidArgument"
        lines = lines_of(server, caller.request(method, full, KEY, query=query))
        assert not [line for line in lines if b"evil" in line]


@pytest.mark.parametrize("text", LOOKALIKES, ids=ascii)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_overrides_that_only_look_like_it_stay_one_line(caller, server, full, method, text):
    plain = lines_of(server, caller.request(method, full, KEY, query=f"{OVERRIDES[0]}=text"))
    for name in OVERRIDES:
        query = f"{name}={quote(f'text{text}{EVIL}')}"
        lines = lines_of(server, caller.request(method, full, KEY, query=query))
        carrying = [line for line in lines if b"evil" in line]
        header = name.removeprefix("response-")
        assert carrying == [f"{header}: text{text}{EVIL}".encode()]
        # Content-Type is there in any case.
        assert len(lines) == len(plain) - (name == "response-content-type")


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\0", b"\r\n ", b"\r\n\t", b"\x0b\n"])
@pytest.mark.parametrize(
    "name", ["x-amz-meta-a", "content-type", "content-disposition", "cache-control", "expires"]
)
def test_line_ends_do_not_get_into_stored_headers(caller, server, s3, bucket, name, end):
    request = caller.request("PUT", bucket, KEY, headers={name: "text@@" + EVIL}, body=b"body")
    request = request.replace(b"@@", end, 1)
    with Connection(server.port) as connection:
        connection.send(request)
        assert connection.answer().status == 400
        assert connection.rest() == b""
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("text", ["a\tb", "a\x80\x85\xffb", "a: b", '"', "=?utf-8?q?=0D=0A?="])
def test_other_bytes_come_back_in_one_line(server, call, bucket, text):
    data = text.encode("latin-1")
    header = b"content-language: " + data
    assert call("PUT", bucket, KEY, lines=header + b"\r\n", body=b"body").status == 200
    lines = lines_of(server, call.request("GET", bucket, KEY))
    assert [line for line in lines if line.startswith(b"content-language")] == [header]


@pytest.mark.parametrize("end", ENDS, ids=ascii)
def test_names_in_a_path_never_become_a_header(caller, server, end):
    """A new bucket's Location, and what an error says of the path."""
    for bucket, key in ((f"evil{end}{EVIL}", ""), ("evil", f"{end}{EVIL}")):
        request = caller.request("PUT", quote(bucket), quote(key), body=b"")
        assert not [line for line in lines_of(server, request) if b"evil" in line]
