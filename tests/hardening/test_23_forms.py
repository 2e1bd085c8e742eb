"""23: a form does what its signer's policy lets it, in the bucket of its URL, and nothing else."""

import os
from types import SimpleNamespace

import pytest

from fastobj.core.limits import FORM_BYTES_MAX
from tests.hardening.processes import MIB, workers_stay_below
from tests.hardening.raw import Connection
from tests.s3.conftest import OTHER
from tests.s3.forms import BOUNDARY, Poster, body_of, policy_of, scope_of, sign_v2, sign_v4

GROWTH_BYTES_MAX = 24 * MIB
LIMIT = f"\r\n--{BOUNDARY}".encode()


@pytest.fixture
def post(server, bucket):
    """Sends forms to an empty bucket."""
    keys = SimpleNamespace(access_key=server.access_key, secret_key=server.secret_key)
    keys.endpoint = f"http://127.0.0.1:{server.port}"
    return Poster(keys, bucket)


def stored(s3, bucket):
    return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.mark.parametrize("version", [2, 4])
def test_only_who_may_write_may_sign(s3, bucket, other, post, version):
    assert post(version=version, keys=OTHER).status == 403
    fields = post.signed(conditions=[{"bucket": other}, {"key": "key"}], version=version)
    assert post.send(body_of(fields, b"x"), bucket=bucket).status == 403
    assert post.send(body_of({"bucket": other, **fields}, b"x")).status == 403
    assert stored(s3, bucket) == []


@pytest.mark.parametrize("version", [2, 4])
def test_no_field_goes_without_a_condition(s3, bucket, post, version):
    least = [{"bucket": bucket}, {"key": "key"}]
    for name, value in (
        ("acl", "public-read"),
        ("x-amz-acl", "public-read"),
        ("content-type", "text/html"),
        ("x-amz-meta-a", "b"),
        ("x-amz-storage-class", "STANDARD"),
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-website-redirect-location", "/a"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-copy-source", f"/{bucket}/other"),
        ("success_action_redirect", "http://example.com"),
        ("redirect", "http://example.com"),
        ("tagging", "<Tagging/>"),
        ("anything", "at all"),
    ):
        answer = post({name: value}, conditions=least, version=version)
        assert answer.status in (403, 501), name
    assert stored(s3, bucket) == []


def test_a_policy_is_all_that_is_signed(s3, bucket, post):
    """Whose fields are those of another policy, whose scope is another's, or that is cut."""
    wide = policy_of([{"bucket": bucket}, ["starts-with", "$key", ""]])
    narrow = sign_v2(policy_of([{"bucket": bucket}, {"key": "a"}]), post.keys)
    assert post.send(body_of({"key": "b", **narrow, "policy": wide}, b"x")).status == 403
    scope = scope_of(post.keys)
    made = sign_v4(narrow["policy"], post.keys, scope)
    for name in ("policy", "x-amz-signature"):
        for value in (made[name][:-4], made[name] + "AAAA", made[name].swapcase()):
            answer = post.send(body_of({"key": "a", **made, name: value}, b"x"))
            assert answer.status == 403, name
    assert stored(s3, bucket) == []


def test_no_field_behind_the_file_counts(s3, bucket, post):
    """Neither one that the policy forbids, nor one that would make the form a signed one."""
    fields = post.signed()
    behind = [("key", "other"), ("acl", "public-read"), ("bucket", "other"), ("file", "more")]
    assert post.send(body_of(fields, b"content", behind=behind)).status == 204
    assert stored(s3, bucket) == ["key"]
    assert len(s3.get_object_acl(Bucket=bucket, Key="key")["Grants"]) == 1
    last = [(name, fields.pop(name)) for name in list(fields) if name != "key"]
    assert post.send(body_of(fields, b"content", behind=last)).status == 403


def test_sizes_are_those_of_the_file(s3, bucket, post):
    """Not what a header says, a field says, or what stands around it."""
    conditions = [{"bucket": bucket}, {"key": "key"}, ["starts-with", "$x-amz-meta-a", ""]]
    conditions.append(["content-length-range", 100, 200])
    for size in (99, 201, 100_000, 3 * MIB):
        fields = post.signed({"x-amz-meta-a": "x" * 150}, conditions)
        answer = post.send(body_of(fields, bytes(size), behind=[("more", "x" * 150)]))
        assert answer.code in ("EntityTooSmall", "EntityTooLarge")
        answer = post.send(body_of(fields, bytes(size)), headers={"X-Content-Length": "150"})
        assert answer.status == 400
    assert stored(s3, bucket) == []


def test_no_header_is_made_of_a_key_or_a_redirect(s3, bucket, post):
    evil = "a\r\nSet-Cookie: b\r\n\r\n<c>"
    conditions = [{"bucket": bucket}, ["starts-with", "$key", "a"]]
    answer = post({"key": evil}, conditions=conditions)
    assert (answer.status, answer.headers["set-cookie"]) == (204, None)
    assert answer.headers["location"].endswith("a%0D%0ASet-Cookie%3A%20b%0D%0A%0D%0A%3Cc%3E")
    conditions = [*conditions, ["starts-with", "$redirect", "http://"]]
    for url in ("http://a/\r\nSet-Cookie: b", "http://a/b\nc", "http://a/\0", "http://a\u2028b/"):
        answer = post({"key": evil, "redirect": url}, conditions=conditions)
        assert (answer.status, answer.headers["set-cookie"]) == (204, None)
    answer = post({"key": evil, "redirect": 'http://a/"><b>?c'}, conditions=conditions)
    assert answer.status == 303
    assert not set('"<> ') & set(answer.headers["location"])


HEADS = [
    b"--a\r\n" * 5000,
    b"\r\n" * 10_000,
    LIMIT[2:] + LIMIT[:-1] * 700,
    (LIMIT[2:] + b"\r\n") * 700,
    LIMIT[2:] + b'\r\nContent-Disposition: form-data; name="' + b'\\"' * 9000,
    LIMIT[2:] + b"\r\nContent-Disposition: form-data" + b";a=b" * 4500,
    LIMIT[2:] + b"\r\nContent-Disposition: form-data" + b"; \t" * 6000,
    LIMIT[2:] + b"\r\n" + b"a:b\r\n" * 3500,
    bytes(FORM_BYTES_MAX),
    bytes(8 * MIB),
]


@pytest.mark.parametrize("head", HEADS, ids=range(len(HEADS)))
def test_fields_without_end(server, post, head):
    with workers_stay_below(server, GROWTH_BYTES_MAX):
        for body in (head, head + body_of({"key": "key"}, b"x")):
            assert post.send(body).code in ("MalformedPOSTRequest", "MaxPostPreDataLengthExceeded")


@pytest.mark.parametrize(
    "content",
    [LIMIT[:-1], b"\r\n--", b"\r\n", b"\r", b"-", LIMIT[:-1] + b"\r"],
    ids=["almost", "dashes", "lines", "returns", "minus", "mixed"],
)
def test_large_files_of_almost_delimiters(server, s3, bucket, post, content):
    whole = (content * (48 * MIB // len(content)))[: 48 * MIB - 7]
    body = body_of(post.signed(), whole)
    with workers_stay_below(server, GROWTH_BYTES_MAX):
        assert post.send(body).status == 204
    found = s3.get_object(Bucket=bucket, Key="key")["Body"]
    assert found.read() == whole


@pytest.mark.parametrize("size", [10, 70_000, 3 * MIB])
def test_forms_that_are_broken_off(server, s3, bucket, post, size):
    body = body_of(post.signed(), os.urandom(size))
    head = f"POST /{bucket} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    for part in (0, 10, 500, len(body) // 2, len(body) - len(LIMIT) - 10, len(body) - 6):
        with Connection(server.port) as connection:
            connection.send(head.encode() + body[:part])
    assert post.send(body).status == 204
    assert stored(s3, bucket) == ["key"]


def test_a_form_waits_for_no_file_that_nobody_may_send(server, post):
    """What is wrong with the fields is told before the file is there."""
    fields = {**post.signed(), "signature": "wrong"}
    body = body_of(fields, bytes(FORM_BYTES_MAX))
    head = f"POST /{post.bucket} HTTP/1.1\r\nHost: a\r\nContent-Length: {64 * MIB}\r\n"
    head += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    with Connection(server.port) as connection:
        connection.send(head.encode() + body[:FORM_BYTES_MAX])
        assert connection.answer().code == "SignatureDoesNotMatch"
