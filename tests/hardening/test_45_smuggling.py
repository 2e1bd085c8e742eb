"""Check 45: a message with two readings is refused, and nothing inside it is ever a request."""

import pytest

from tests.hardening.raw import Connection
from tests.hardening.smuggling import (
    CHUNKED,
    FIRST,
    MALFORMED_CHUNKS,
    SMUGGLED,
    UNCLEAR,
    malformed_chunks,
    other_line_ends,
    smuggled_request,
    unclear_heads,
)


@pytest.fixture(scope="session")
def place(s3):
    """A bucket that holds `first` and nothing else, before and after each attack."""
    name = "hardening-smuggling"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key=FIRST, Body=b"kept")
    return name


def assert_refused(server, attack, statuses):
    """One answer, and the end of the connection."""
    with Connection(server.port) as connection:
        connection.send(attack)
        answer = connection.answer()
        assert answer.status in statuses
        assert answer.headers["connection"] == "close"
        assert connection.rest() == b""


def assert_unharmed(s3, bucket):
    """Nothing was stored, replaced or deleted."""
    [entry] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert (entry["Key"], entry["Size"]) == (FIRST, 4)


def test_the_request_inside_is_one_that_would_be_served(caller, server, s3, bucket):
    """Else nothing here could fail."""
    with Connection(server.port) as connection:
        first = caller.request("PUT", bucket, FIRST, body=b"")
        connection.send(first + smuggled_request(caller, bucket))
        assert [connection.answer().status for _ in range(2)] == [200, 200]
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == [FIRST, SMUGGLED]


@pytest.mark.parametrize("name", UNCLEAR)
def test_unclear_heads(caller, server, s3, place, name):
    for attack in unclear_heads(caller, place, name):
        statuses = {400, 501} if attack.has_unknown_coding else {400}
        assert_refused(server, attack.data, statuses)
    assert_unharmed(s3, place)


@pytest.mark.parametrize("name", MALFORMED_CHUNKS)
def test_malformed_chunks(caller, server, s3, place, name):
    for attack in malformed_chunks(caller, place, name):
        assert_refused(server, attack.data, {400})
    assert_unharmed(s3, place)


def test_other_line_ends(caller, server, s3, place):
    for attack in other_line_ends(caller, place).values():
        assert_refused(server, attack, {400})
    assert_unharmed(s3, place)


def test_extensions_of_chunks_are_passed_over(caller, server, s3, bucket):
    """They are legal, and say nothing: the body is the same, and so is the next request."""
    document = b"<Delete><Object><Key>first</Key></Object></Delete>"
    extended = b'%x;a;b=c;d="e;f"\r\n%b\r\n000;g\r\n\r\n' % (len(document), document)
    head = caller.head("POST", bucket, query="delete", lines=CHUNKED)
    s3.put_object(Bucket=bucket, Key=FIRST, Body=b"")
    with Connection(server.port) as connection:
        connection.send(head + extended + caller.request("PUT", bucket, "next", body=b"next"))
        assert b"<Key>first</Key>" in connection.answer().body
        assert connection.answer().status == 200
    [entry] = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert entry["Key"] == "next"
