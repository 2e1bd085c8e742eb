"""Check 58: many names at once are answered, whichever they are, and cost what they weigh.

The names collide under hashes without a key. That of this server has one, drawn at each start.
"""

from urllib.parse import quote

import pytest

from fastobj.core import limits
from tests.hardening.processes import MIB, workers_stay_below
from tests.hardening.raw import Connection

GROWTH_BYTES_MAX = 32 * MIB
HEAD_ROOM = limits.HEAD_BYTES_MAX - 2048
TARGET_ROOM = limits.TARGET_BYTES_MAX - 1024


def alike(count, pieces=("Aa", "BB")):
    """Names of one length that collide under the hash that adds up letters times powers of 31."""
    width = max(1, (count - 1).bit_length())
    return ["".join(pieces[number >> bit & 1] for bit in range(width)) for number in range(count)]


def fitting(names, room, joint):
    """The names joined, as many as fit."""
    text = joint.join(names)[:room]
    return text[: text.rindex(joint)]


@pytest.fixture(autouse=True)
def bounded(server):
    """Nothing here makes a worker grow."""
    with workers_stay_below(server, GROWTH_BYTES_MAX):
        yield


@pytest.mark.parametrize(
    "names",
    [
        alike(2000),
        sorted(alike(2000), reverse=True),
        ["a"] * 10_000,
        [""] * 20_000,
        [f"{number}" for number in range(10_000)],
        ["%41%61"] * 3000,
        ["a=b"] * 5000,
        ["="] * 8000,
        ["versionid"] * 2000,
    ],
    ids=lambda names: names[-1] or "none",
)
def test_parameters(caller, s3, bucket, names):
    """They are parsed, sorted for the signature, and matched with the rows of the table."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    answer = caller("GET", bucket, "key", query=fitting(names, TARGET_ROOM, "&"))
    if caller.entry.auth == "query" and len(set(names)) < len(names) and any(names):
        assert answer.status == 403  # botocore signs the first of a name only
    else:
        assert (answer.status, answer.body) == (200, b"body")


def test_headers(caller, s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"body")
    names = alike(limits.HEADERS_MAX - 16, ("aa", "bb"))
    for flood in (names, ["a"] * len(names)):
        lines = "".join(f"{name}: a\r\n" for name in flood).encode()
        assert caller("GET", bucket, "key", lines=lines).body == b"body"


def test_names_of_metadata(caller, s3, bucket):
    names = [name.lower() for name in alike(64, ("aa", "bb"))]
    pairs = {f"x-amz-meta-{name}": "value" for name in names}
    assert caller("PUT", bucket, "key", headers=pairs, body=b"body").status == 200
    assert s3.head_object(Bucket=bucket, Key="key")["Metadata"] == dict.fromkeys(names, "value")


@pytest.mark.parametrize("names", [["host"] * 7000, alike(1500, ("aa", "bb")), [""] * 30_000])
@pytest.mark.parametrize("size", [1, 10_000])
def test_names_of_signed_headers(server, bucket, names, size):
    """Repeated, each would be one more copy of a header in what is signed."""
    scope = f"{server.access_key}/20261120/us-east-1/s3/aws4_request"
    signed = fitting(names, HEAD_ROOM - size, ";")
    claim = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={'0' * 64}"
    lines = f"Host: {'a' * size}\r\nx-amz-date: 20261120T000000Z\r\nAuthorization: {claim}\r\n"
    with Connection(server.port) as connection:
        connection.send(f"GET /{bucket} HTTP/1.1\r\n{lines}\r\n".encode())
        assert connection.answer().status in (400, 403)


def test_parts_of_an_authorization(server, bucket):
    for part in ("a=", "Credential=a", "=", "", "Signature"):
        parts = fitting([part] * 30_000, HEAD_ROOM, ",")
        lines = f"Host: a\r\nAuthorization: AWS4-HMAC-SHA256 {parts}\r\n"
        with Connection(server.port) as connection:
            connection.send(f"GET /{bucket} HTTP/1.1\r\n{lines}\r\n".encode())
            assert connection.answer().status in (400, 403)


def test_etags_of_a_condition(caller, s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"body")["ETag"]
    for name in alike(2), ["a"], [" "], ['"a"'], ["W/"]:
        flood = fitting(name * 10_000, HEAD_ROOM, ",")
        lines = f"If-None-Match: {flood}\r\n".encode()
        assert caller("GET", bucket, "key", lines=lines).status in (200, 400)
    flood = fitting(['"a"'] * 10_000, HEAD_ROOM, ",")
    lines = f"If-None-Match: {flood},{etag}\r\n".encode()
    assert caller("GET", bucket, "key", lines=lines).status == 304


def test_grantees_of_a_list(caller, s3, bucket):
    """A worker that looked at such a value for minutes would answer nobody meanwhile."""
    blanks = " " * HEAD_ROOM
    for value in (f'id={blanks[4:]}"', f'{blanks[4:]}id="', f'id={blanks[8:]}a "', "id=a," * 4000):
        headers = {"x-amz-grant-read": value[:HEAD_ROOM].strip()}
        for call in ({"query": "acl"}, {"key": "key", "body": b"x"}):
            answer = caller("PUT", bucket, **call, headers=headers)
            assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_keys_of_a_document(caller, s3, bucket):
    names = alike(1000)
    for name in names[:20]:
        s3.put_object(Bucket=bucket, Key=name, Body=b"")
    for keys in (names, names[:1] * 1000):
        objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
        body = f"<Delete>{objects}</Delete>".encode()
        answer = caller("POST", bucket, query="delete", body=body)
        assert answer.status == 200
        assert answer.body.count(b"<Deleted>") == 1000
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_elements_of_a_document(caller, bucket):
    inner = "".join(f"<{name}/>" for name in alike(50_000))
    body = f"<Delete>{inner}<Object><Key>a</Key></Object></Delete>".encode()
    assert caller("POST", bucket, query="delete", body=body).status == 200


def test_keys_with_many_places_for_a_delimiter(caller, s3, bucket):
    for number in range(20):
        key = "a" * 500 + f"{number:02}" + "a" * 500
        assert caller("PUT", bucket, quote(key), body=b"").status == 200
    for delimiter in ("a", "aa", "a" * 499 + "b", "a" * 1000):
        page = s3.list_objects_v2(Bucket=bucket, Delimiter=delimiter)
        assert page["KeyCount"] == (1 if set(delimiter) == {"a"} and len(delimiter) < 500 else 20)
