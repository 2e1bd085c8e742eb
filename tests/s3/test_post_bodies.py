"""PostObject: bodies that are forms, and such as are none."""

import os

import pytest

from fastobj.core.limits import FORM_BYTES_MAX
from tests.s3.forms import (
    BOUNDARY,
    body_of,
    keys_in,
    part,
    told,
)

KIB, MIB = 1024, 1024 * 1024


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("application/x-www-form-urlencoded", 412, "PreconditionFailed"),
        ("multipart/mixed; boundary=a", 412, "PreconditionFailed"),
        ("multipart/form-dataset; boundary=a", 412, "PreconditionFailed"),
        ("", 412, "PreconditionFailed"),
        ("multipart/form-data", 400, "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=", 400, "MalformedPOSTRequest"),
        ('multipart/form-data; boundary="', 400, "MalformedPOSTRequest"),
        ('multipart/form-data; boundary="a "', 400, "MalformedPOSTRequest"),
        (f"multipart/form-data; boundary={'a' * 71}", 400, "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=a; boundary=b", 400, "MalformedPOSTRequest"),
        ("multipart/form-data; boundary=ü", 400, "MalformedPOSTRequest"),
    ],
)
def test_types_of_the_request(post, kind, status, code):
    headers = {"Content-Type": kind.encode()}
    answer = post.send(body_of(post.signed(), b"content"), headers=headers)
    assert told(answer)[:2] == (status, code)


@pytest.mark.parametrize(
    "boundary", ["a", "--a", "a" * 70, "'()+_,-./:=?", "a b", "----WebKitFormBoundary7MA4YWxk"]
)
def test_boundaries(s3, bucket, post, boundary):
    quoted = f'MULTIPART/Form-Data;  charset=utf-8; Boundary="{boundary}"'
    content = f"\r\n--{boundary[:-1]}\r\n-{boundary}".encode()
    body = body_of(post.signed(), content, boundary)
    assert post.send(body, headers={"Content-Type": quoted}).status == 204
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == content


def malformed(fields):
    """Bodies that are no form, or one that can be read in two ways."""
    good = body_of(fields, b"content")
    limit = f"--{BOUNDARY}".encode()
    end = good.rindex(limit)
    yield from (b"", b"content", b"\r\n", limit, limit + b"\r\n", limit + b"x" + good[len(limit) :])
    yield b"preamble\r\n" + good
    yield good.replace(b"\r\n", b"\n")
    yield good[: end - 2]  # no end
    yield good[:end]
    yield good[: end + len(limit)]
    yield good[: end + len(limit)] + b"-"
    yield good[: end + len(limit)] + b"xx" + good[end + len(limit) :]
    yield good[:end] + limit + b" --\r\n"
    yield good.replace(limit + b"\r\n", limit + b"\n", 1)
    yield good.replace(b"form-data", b"attachment", 1)
    yield good.replace(b"Content-Disposition: form-data", b"X: y", 1)
    yield good.replace(b'; name="key"', b"", 1)
    yield good.replace(b'"key"', b'""', 1)
    yield good.replace(b'"key"', b'"key', 1)
    yield good.replace(b'name="key"', b'name="key"; name="other"', 1)
    yield good.replace(b'"key"', b'"k\xffy"', 1)
    yield good.replace(b"\r\n\r\nkey", b"\r\n\r\n\xffkey", 1)
    yield good.replace(b"\r\n\r\nkey", b"\r\n\r\n" + limit, 1)
    yield good.replace(b"\r\n\r\ncontent", b"\r\n\r\n" + limit, 1)
    yield good.replace(b"\r\n\r\nkey", b"\r\n" + limit + b"\r\nx: y\r\n\r\nkey", 1)
    yield good.replace(b"Content-Disposition", b"Content-Disposition ", 1)
    yield good.replace(b"Content-Disposition", b" Content-Disposition", 1)
    double = b'Content-Disposition: form-data; name="acl"\r\nContent-Disposition'
    yield good.replace(b"Content-Disposition", double, 1)
    coded = b"Content-Transfer-Encoding: base64\r\nContent-Disposition"
    yield good.replace(b"Content-Disposition", coded, 1)


def test_bodies_that_are_no_form(s3, bucket, post):
    for body in malformed(post.signed()):
        assert told(post.send(body))[:2] == (400, "MalformedPOSTRequest"), body
    assert keys_in(s3, bucket) == []


def test_a_large_file_without_an_end(s3, bucket, post):
    body = body_of(post.signed(), os.urandom(2 * MIB))[: -len(BOUNDARY) - 8]
    assert post.send(body).code == "MalformedPOSTRequest"
    assert keys_in(s3, bucket) == []


def test_an_empty_line_in_front(post):
    assert post.send(b"\r\n" + body_of(post.signed(), b"content")).status == 204


@pytest.mark.parametrize("name", ["key", "KEY", "policy", "x-amz-meta-a"])
def test_a_field_that_stands_twice(s3, bucket, post, name):
    fields = post.signed({"x-amz-meta-a": "one"})
    twice = [*fields.items(), (name, "other")]
    answer = post.send(body_of(twice, b"content"))
    assert told(answer)[:2] == (400, "InvalidArgument")
    assert told(post({"acl": "private", "x-amz-acl": "public-read"}))[1] == "InvalidArgument"
    assert keys_in(s3, bucket) == []


def test_a_form_without_a_file(s3, bucket, post):
    fields = b"".join(part(name, value) for name, value in post.signed().items())
    answer = post.send(fields + f"--{BOUNDARY}--\r\n".encode())
    assert told(answer) == (
        400, "InvalidArgument", "POST requires exactly one file upload per request."
    )  # fmt: skip


def test_fields_behind_the_file_are_none(s3, bucket, post):
    fields = post.signed()
    key = [("key", fields.pop("key"))]
    answer = post.send(body_of(fields, b"content", behind=key))
    assert "must contain a field named 'key'" in told(answer)[2]
    signed = post.signed()
    answer = post.send(body_of({"key": "key"}, b"content", behind=list(signed.items())[1:]))
    assert told(answer)[:2] == (403, "AccessDenied")
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("size", [0, 200_000])
def test_how_much_may_stand_in_front_of_the_file(s3, bucket, post, size):
    fields = {**post.signed(), "x-ignore-a": ""}
    content, end = os.urandom(size), len(f"\r\n--{BOUNDARY}--\r\n")
    room = FORM_BYTES_MAX - (len(body_of(fields, b"")) - end)
    fields["x-ignore-a"] = "x" * room
    assert post.send(body_of(fields, content)).status == 204
    fields["x-ignore-a"] += "x"
    assert post.send(body_of(fields, content)).code == "MaxPostPreDataLengthExceeded"
    many = [*fields.items(), *((f"x-ignore-{number}", "") for number in range(1000))]
    assert post.send(body_of(many, content)).code == "MaxPostPreDataLengthExceeded"
