"""URLs signed beforehand: what they open to somebody without keys, and for how long."""

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest

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


def ask(url, method="GET", body=None):
    """Status, code of an error, and body of the answer to somebody without keys."""
    headers = {} if body is None else {"Content-Type": ""}  # urllib would send one of its own
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
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
