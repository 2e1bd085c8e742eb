"""Every error reaches the client as one of S3's, and says nothing that it should not."""

from xml.etree import ElementTree

import pytest

from fastobj.core import codes
from fastobj.core.errors import (
    Busy,
    ChecksumMismatch,
    Conflict,
    NoSpace,
    S3Error,
    StoreDamaged,
    SyncFailed,
    TooManyFiles,
    Unavailable,
    Unknown,
)
from fastobj.http.message import BodyIncomplete, BodyTooLarge
from fastobj.s3.errors import render, translate
from tests.unit.s3 import signing


@pytest.mark.parametrize(
    ("error", "name", "status"),
    [
        (NoSpace(), "InsufficientStorage", 507),
        (Unavailable(), "ServiceUnavailable", 503),
        (Busy("memory"), "SlowDown", 503),
        (TooManyFiles("open"), "SlowDown", 503),
        (Unknown(), "InternalError", 500),
        (ChecksumMismatch(), "InternalError", 500),
        (StoreDamaged(), "InternalError", 500),
        (SyncFailed(), "InternalError", 500),
        (Conflict([]), "OperationAborted", 409),
        (BodyTooLarge(), "EntityTooLarge", 400),
        (BodyIncomplete("gone"), "IncompleteBody", 400),
        (BodyIncomplete("slow", stalled=True), "RequestTimeout", 400),
        (KeyError("hidden"), "InternalError", 500),
    ],
)
def test_the_mapping(error: Exception, name: str, status: int) -> None:
    told = translate(error)
    assert (told.code.name, told.code.status) == (name, status)
    assert "hidden" not in told.message


def test_an_error_of_s3_stays_itself() -> None:
    error = S3Error(codes.NO_SUCH_KEY)
    assert translate(error) is error


def test_rendering() -> None:
    error = S3Error(codes.NO_SUCH_KEY, extra=[("Key", "a&b")], headers=[(b"x-a", b"1")])
    request = signing.unsigned("GET", "/b/a%26b?c=d")
    response = render(error, request, "REQUEST", "HOST")
    assert response.status == 404
    assert response.headers == [(b"content-type", b"application/xml"), (b"x-a", b"1")]
    assert isinstance(response.body, bytes)
    root = ElementTree.fromstring(response.body)
    assert root.tag == "Error"
    assert [(child.tag, child.text) for child in root] == [
        ("Code", "NoSuchKey"),
        ("Message", "The specified key does not exist."),
        ("Key", "a&b"),
        ("Resource", "/b/a%26b"),
        ("RequestId", "REQUEST"),
        ("HostId", "HOST"),
    ]


def test_no_body_where_there_must_be_none() -> None:
    head = render(S3Error(codes.NO_SUCH_KEY), signing.unsigned("HEAD", "/b/k"), "R", "H")
    assert (head.status, head.body, head.headers) == (404, b"", [])
    etag = (b"etag", b'"e"')
    same = S3Error(codes.NOT_MODIFIED, headers=[etag])
    not_modified = render(same, signing.unsigned("GET", "/b/k"), "R", "H")
    assert (not_modified.status, not_modified.body, not_modified.headers) == (304, b"", [etag])


@pytest.mark.parametrize("code", [codes.SLOW_DOWN, codes.SERVICE_UNAVAILABLE])
def test_when_to_try_again(code: codes.ErrorCode) -> None:
    response = render(S3Error(code), signing.unsigned("HEAD", "/b/k"), "R", "H")
    assert response.headers == [(b"retry-after", b"1")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \u00fc \u952e", "plain \u00fc \u952e"),
        ("a\0b\x1f", "a%00b%1F"),
        ("\uffff\ud800", "%EF%BF%BF%ED%A0%80"),
        ("line\nand\ttab", "line\nand\ttab"),
        ("\x7f\x85", "\x7f\x85"),
    ],
)
def test_every_parser_reads_an_error(text: str, shown: str) -> None:
    error = S3Error(codes.NO_SUCH_KEY, extra=[("Key", text)])
    response = render(error, signing.unsigned("GET", "/b/k"), "REQUEST", "HOST")
    assert isinstance(response.body, bytes)
    assert ElementTree.fromstring(response.body).findtext("Key") == shown
