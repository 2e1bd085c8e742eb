"""URLs signed beforehand: what they open to somebody without keys, and for how long."""

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.s3.calls import REGION

BOTH = ["s3v4", "s3"]
NEEDED = {
    "s3v4": [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ],
    "s3": ["AWSAccessKeyId", "Signature", "Expires"],
}


@pytest.fixture(params=BOTH)
def version(request):
    """The version of the signature."""
    return request.param


@pytest.fixture
def sign(s3, s3v4, bucket, version):
    """Makes the URL of a call on one key, at another time if that is said."""
    client = s3v4 if version == "s3v4" else s3

    def make(call, ago_s=0, key="a b/ü", **more):
        when = datetime.now(UTC) - timedelta(seconds=ago_s)
        with (
            mock.patch(
                "botocore.auth.get_current_datetime", return_value=when.replace(tzinfo=None)
            ),
            mock.patch("botocore.auth.time.time", return_value=when.timestamp()),
        ):
            params = {"Bucket": bucket, "Key": key}
            return client.generate_presigned_url(call, params, **more)

    return make


def ask(url, method="GET", body=None, headers=()):
    """Status, code of an error, and body of the answer to somebody without keys."""
    sent = dict(headers) if body is None else {"Content-Type": "", **dict(headers)}
    # (urllib would send a content type of its own.)
    request = urllib.request.Request(url, data=body, method=method, headers=sent)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, None, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            told = error.read().decode()
            return error.status, told.partition("<Code>")[2].partition("</Code>")[0], b""


def test_put_and_get(s3, bucket, sign):
    body = b"by link" * 20_000
    assert ask(sign("put_object"), "PUT", body) == (200, None, b"")
    assert s3.get_object(Bucket=bucket, Key="a b/ü")["Body"].read() == body
    assert ask(sign("get_object")) == (200, None, body)
    assert ask(sign("head_object"), "HEAD") == (200, None, b"")
    assert ask(sign("delete_object"), "DELETE") == (204, None, b"")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_what_is_not_there(sign):
    assert ask(sign("get_object", key="none"))[:2] == (404, "NoSuchKey")


def test_each_parameter_is_needed(s3, bucket, sign, version):
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"body")
    url = sign("get_object")
    parts = urlsplit(url)
    assert sorted(parse_qs(parts.query)) == sorted(NEEDED[version])
    assert ask(url) == (200, None, b"body")
    pairs = parts.query.split("&")
    for without in range(len(pairs)):
        query = "&".join(pairs[:without] + pairs[without + 1 :])
        status, _, body = ask(parts._replace(query=query).geturl())
        assert status in (400, 403), pairs[without]
        assert body == b""


@pytest.fixture
def moved(server, bucket):
    """Makes a URL with headers in its query, as the SDKs of JavaScript and Ruby do."""

    def make(method="PUT", headers=None, **query):
        url = f"{server.endpoint}/{bucket}/key"
        request = AWSRequest(method=method, url=url, params=query, headers=headers)
        keys = Credentials(server.access_key, server.secret_key)
        S3SigV4QueryAuth(keys, "s3", REGION, expires=60).add_auth(request)
        return request.url

    return make


def test_headers_in_the_query(s3, bucket, moved):
    said = {"x-amz-meta-a-b": " ü c ", "X-Amz-Meta-D": "", "x-amz-acl": "public-read"}
    assert ask(moved(**said), "PUT", b"body")[0] == 200
    found = s3.get_object(Bucket=bucket, Key="key")
    assert found["Body"].read() == b"body"
    metadata = {name: value.encode("latin-1").decode() for name, value in found["Metadata"].items()}
    assert metadata == {"a-b": "ü c", "d": ""}
    assert len(s3.get_object_acl(Bucket=bucket, Key="key")["Grants"]) == 2
    owner = {"x-amz-expected-bucket-owner": "somebody"}
    assert ask(moved("GET", **owner))[:2] == (403, "AccessDenied")


def test_a_header_goes_before_the_query(s3, bucket, moved):
    said = {"x-amz-meta-a": "header"}
    url = moved(headers=said, **{"x-amz-meta-a": "query", "x-amz-meta-b": "query"})
    assert ask(url, "PUT", b"x", said)[0] == 200
    found = s3.head_object(Bucket=bucket, Key="key")["Metadata"]
    assert found == {"a": "header", "b": "query"}
    s3.delete_object(Bucket=bucket, Key="key")
    for other in ({"x-amz-meta-a": "other"}, {**said, "x-amz-meta-b": "not signed"}):
        assert ask(url, "PUT", b"x", other)[0] == 403
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_query_that_nobody_presigned_says_nothing(s3, bucket, send):
    assert send("PUT", f"/{bucket}/key", query="x-amz-meta-a=b", body=b"x").status == 200
    assert s3.head_object(Bucket=bucket, Key="key")["Metadata"] == {}


def test_checksums_in_the_query_are_passed_over(s3, bucket, moved):
    """Those of no body, which SDKs sign before there is one."""
    said = {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-sdk-checksum-algorithm": "CRC32"}
    assert ask(moved(**said, **{"x-id": "PutObject"}), "PUT", b"body")[0] == 200
    found = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert found["Body"].read() == b"body"
    assert "ChecksumCRC32" not in found


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("x-amz-meta-a", "b\r\nset-cookie: c", (400, "InvalidArgument")),
        ("x-amz-meta-a", "\0", (400, "InvalidArgument")),
        ("x-amz-meta-a\r\nset-cookie", "c", (400, "InvalidArgument")),
        ("x-amz-meta-a b", "c", (400, "InvalidArgument")),
        ("x-amz-meta-ü", "c", (400, "InvalidArgument")),
        ("x-amz-meta-a", "b" * 2048, (400, "MetadataTooLarge")),
        ("x-amz-acl", "nonsense", (400, "InvalidArgument")),
        ("x-amz-storage-class", "GLACIER", (400, "InvalidStorageClass")),
        ("x-amz-server-side-encryption", "aws:kms:dsse", (501, "NotImplemented")),
        ("x-amz-tagging", "a=b&a=c", (400, "InvalidArgument")),
        ("x-amz-copy-source", "/bucket/key", (501, "NotImplemented")),
    ],
)
def test_what_the_query_may_not_say(s3, bucket, moved, name, value, told):
    assert ask(moved(**{name: value}), "PUT", b"body")[:2] == told
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_time(s3, bucket, sign, method):
    """Good until the last second that was signed, and not a second more."""
    call, body = (f"{method.lower()}_object", b"new" if method == "PUT" else None)
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"old")
    assert ask(sign(call, ago_s=600, ExpiresIn=601 + 60), method, body)[0] == 200
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"old")
    for expires_s in (1, 599):
        url = sign(call, ago_s=600, ExpiresIn=expires_s)
        assert ask(url, method, body)[:2] == (403, "AccessDenied")
    assert s3.get_object(Bucket=bucket, Key="a b/ü")["Body"].read() == b"old"
