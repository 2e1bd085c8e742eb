"""Headers of objects: what is kept of a request, and how conditions are read."""

import pytest

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.http.message import Request
from fastobj.objects.conditions import UNCONDITIONAL, WriteConditions
from fastobj.s3.object_headers import (
    read_conditions,
    stored_headers,
    user_metadata,
    write_conditions,
)


class NoBody:
    """A request's body that nobody reads."""

    length = 0


def request(*headers):
    return Request(b"PUT", b"/bucket/key", list(headers), NoBody())


@pytest.mark.parametrize(
    ("value", "etags"),
    [
        (b'"a"', ("a",)),
        (b"a", ("a",)),
        (b"*", ("*",)),
        (b'W/"a"', ("a",)),
        (b'"a", "b",W/"c"', ("a", "b", "c")),
        (b"a,b", ("a", "b")),
        (b'"a,b"', ("a,b",)),
        (b'""', ("",)),
        (b"", ()),
    ],
)
def test_etags(value, etags):
    conditions = write_conditions(request((b"if-match", value), (b"if-none-match", value)))
    assert conditions == WriteConditions(etags, etags)
    assert read_conditions(request((b"if-none-match", value))).if_none_match == etags


@pytest.mark.parametrize("value", [b'"a', b'a"', b'"a" "b"', b",", b'"a",,"b"', b"a b"])
def test_malformed_etags(value):
    with pytest.raises(S3Error, check=lambda error: error.code is codes.INVALID_ARGUMENT):
        write_conditions(request((b"if-match", value)))


def test_no_conditions():
    assert write_conditions(request()) == UNCONDITIONAL
    assert read_conditions(request((b"if-modified-since", b"never"))) == (None, None, None, None)


def test_metadata_that_repeats_is_joined():
    found = user_metadata(
        request((b"x-amz-meta-a", b"1"), (b"x-amz-meta-", b"2"), (b"x-amz-meta-a", b"3"))
    )
    assert found == {"a": "1,3", "": "2"}


def test_stored_headers_are_those_of_the_object():
    headers = [(b"content-type", b"a/b"), (b"expires", b"\xff"), (b"host", b"x"), (b"etag", b"y")]
    assert stored_headers(request(*headers)) == {"content-type": "a/b", "expires": "\xff"}
