"""PostObject: forms, their policies and signatures, the file, and what the browser is answered."""

import base64
import hashlib
import os
import re
import zlib
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from fastobj.core.limits import FORM_BYTES_MAX
from tests.s3.conftest import OTHER
from tests.s3.forms import (
    BOUNDARY,
    Poster,
    body_of,
    encoded,
    now,
    part,
    policy_of,
    scope_of,
    sign_v2,
    sign_v4,
)

KIB, MIB = 1024, 1024 * 1024
SIZES = [
    0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 80 * KIB, 84 * KIB + 1, MIB - 1, MIB, MIB + 1,
    3 * MIB - 2, 5 * MIB,
]  # fmt: skip
AGAINST = "Invalid according to Policy: "


@pytest.fixture
def post(server, bucket):
    """Sends forms to an empty bucket."""
    return Poster(server, bucket)


def told(answer):
    """Status, code and message of an error."""
    found = re.search(rb"<Message>(.*?)</Message>", answer.body, re.DOTALL)
    text = found[1].decode().replace("&quot;", '"') if found else ""
    return answer.status, answer.code, text


def keys_in(s3, bucket):
    return [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


# --- the file


@pytest.mark.parametrize("size", SIZES)
def test_sizes(s3, bucket, post, size):
    content = os.urandom(size)
    answer = post(content=content)
    assert (answer.status, answer.body) == (204, b"")
    etag = f'"{hashlib.md5(content).hexdigest()}"'
    assert answer.headers["etag"] == etag
    found = s3.get_object(Bucket=bucket, Key="key")
    assert (found["Body"].read(), found["ETag"]) == (content, etag)


@pytest.mark.parametrize("size", [0, 10, 64 * KIB + 5, MIB, 2 * MIB + 3])
@pytest.mark.parametrize("end", ["no line end", "fields", "epilogue"])
def test_what_follows_the_file_is_ignored(s3, bucket, post, size, end):
    content = os.urandom(size)
    fields, behind = post.signed(), [("key", "other"), ("acl", "public-read"), ("file", "x" * 9000)]
    body = body_of(fields, content, behind=behind if end == "fields" else ())
    body = body[:-2] if end == "no line end" else body
    body += b"tail that nobody reads" if end == "epilogue" else b""
    assert post.send(body).status == 204
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == content
    assert keys_in(s3, bucket) == ["key"]


@pytest.mark.parametrize("size", [10, 64 * KIB + 5, 2 * MIB])
def test_more_behind_the_file_than_a_form_may_have(s3, bucket, post, size):
    body = body_of(post.signed(), bytes(size), behind=[("more", "x" * (FORM_BYTES_MAX + 1))])
    assert post.send(body).code == "MaxPostPreDataLengthExceeded"
    assert keys_in(s3, bucket) == []


def look_alikes(delimiter):
    """Contents that are almost the end."""
    yield from (delimiter[:at] for at in range(1, len(delimiter)))
    yield from (delimiter[1:], delimiter.upper(), b"\r" + delimiter[:-1], b"\n" + delimiter[2:])
    yield from (b"\r\n" * 50, b"--" * 50, (delimiter[:-1] + b"\r") * 20)


def test_contents_that_look_like_the_end(s3, bucket, post):
    for content in look_alikes(f"\r\n--{BOUNDARY}".encode()):
        assert post(content=content).status == 204
        assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == content


@pytest.mark.parametrize("edge", [FORM_BYTES_MAX, 64 * KIB, MIB, 2 * MIB])
def test_an_end_at_any_place_across_an_edge(s3, bucket, post, edge):
    fields = post.signed()
    head = len(body_of(fields, b"")) - len(f"\r\n--{BOUNDARY}--\r\n")
    for size in (edge - head - 30, edge - 31, edge - 20, edge - 2, edge - 1, edge, edge + 1):
        content = os.urandom(size)
        assert post.send(body_of(fields, content)).status == 204
        assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == content


def test_a_length_is_needed(post):
    body = body_of(post.signed(), b"content")
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    answer = post.send(chunk, headers={"Transfer-Encoding": "chunked"})
    assert told(answer)[:2] == (411, "MissingContentLength")


# --- fields and what they mean


def test_fields_that_are_headers(s3, bucket, post):
    fields = {
        "Content-Type": "text/plain",
        "Cache-Control": "max-age=5",
        "Content-Disposition": "inline",
        "Content-Encoding": "identity",
        "Content-Language": "en",
        "Expires": "Fri, 21 Mar 2031 00:00:00 GMT",
        "x-amz-meta-a": "one",
        "X-Amz-Meta-B": "zwei ü",
        "acl": "public-read",
    }
    assert post(fields).status == 204
    found = s3.head_object(Bucket=bucket, Key="key")
    assert found["Metadata"] == {"a": "one", "b": "zwei ü".encode().decode("latin-1")}
    shown = {
        name.lower(): value for name, value in found["ResponseMetadata"]["HTTPHeaders"].items()
    }
    for name in list(fields)[:6]:
        assert shown[name.lower()] == fields[name]
    grants = s3.get_object_acl(Bucket=bucket, Key="key")["Grants"]
    assert {grant["Permission"] for grant in grants} == {"FULL_CONTROL", "READ"}


def test_the_type_is_that_of_the_field_and_not_of_the_file(s3, bucket, post):
    assert post().status == 204  # its file says text/html
    assert s3.head_object(Bucket=bucket, Key="key")["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("a.txt", "a.txt"),
        ("dir/a b.txt", "a b.txt"),
        (r"C:\\dir\\a.txt", "a.txt"),
        ("ü€.txt", "ü€.txt"),
        (r"a\"b.txt", 'a"b.txt'),
        ("", ""),
        (None, ""),
    ],
)
def test_the_name_of_the_file(s3, bucket, post, filename, name):
    fields = {"key": "in/${filename}", "x-amz-meta-name": "<${filename}>"}
    allowed = [
        {"bucket": bucket},
        ["starts-with", "$key", "in/"],
        ["starts-with", "$x-amz-meta-name", ""],
    ]
    assert post(fields, conditions=allowed, filename=filename).status == 204
    assert keys_in(s3, bucket) == [f"in/{name}"]


def test_conditions_are_about_fields_with_the_name_in_them(post):
    allowed = [{"bucket": post.bucket}, ["starts-with", "$key", "in/a"]]
    assert post({"key": "in/${filename}"}, conditions=allowed, filename="a.txt").status == 204
    assert post({"key": "in/${filename}"}, conditions=allowed, filename="b.txt").status == 403


def test_a_name_does_not_grow_a_form_without_end(post):
    fields = {"key": "k", "x-ignore-a": "${filename}" * 500}
    answer = post(fields, filename="x" * 5000)
    assert answer.code == "MaxPostPreDataLengthExceeded"


def test_names_of_fields_are_read_in_any_case(s3, bucket, post):
    allowed = [{"bUcKeT": bucket}, ["StArTs-WiTh", "$KeY", "f"], {"AcL": "private"}]
    fields = sign_v2(policy_of(allowed), post.keys)
    sent = {"kEy": "foo", "aCl": "private", "AWSAccessKEYid": fields["AWSAccessKeyId"]}
    sent |= {"POLICY": fields["policy"], "Signature": fields["signature"]}
    assert post.send(body_of(sent, b"content")).status == 204
    assert keys_in(s3, bucket) == ["foo"]


SUMS = {
    "x-amz-checksum-crc32": zlib.crc32(b"content").to_bytes(4, "big"),
    "x-amz-checksum-sha1": hashlib.sha1(b"content").digest(),
    "x-amz-checksum-sha256": hashlib.sha256(b"content").digest(),
    "Content-MD5": hashlib.md5(b"content").digest(),
}


@pytest.mark.parametrize("name", SUMS)
def test_checksums(s3, bucket, post, name):
    said = base64.b64encode(SUMS[name]).decode()
    assert post({name: said}, b"other").code == "BadDigest"
    assert post({name: "none"}).status == 400
    assert post({name: said}, bytes(100_000)).code == "BadDigest"
    assert keys_in(s3, bucket) == []
    answer = post({name: said})
    assert answer.status == 204
    if name != "Content-MD5":
        assert answer.headers[name] == said


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("x-amz-storage-class", "GLACIER", "InvalidStorageClass"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256", None),
        ("x-amz-copy-source", "/a/b", "NotImplemented"),
        ("acl", "nonsense", "InvalidArgument"),
        ("x-amz-meta-a", "x" * 2100, "MetadataTooLarge"),
        ("x-amz-meta-a b", "x", "InvalidArgument"),
        ("key", "x" * 1025, "KeyTooLongError"),
        ("key", "", "InvalidArgument"),
    ],
)
def test_fields_that_are_refused(s3, bucket, post, field, value, code):
    answer = post({field: value})
    assert answer.status >= 400
    assert code in (None, answer.code)
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("name", ["x-amz-meta-a", "Content-Type", "Cache-Control", "acl"])
@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
def test_a_field_never_becomes_two_headers(s3, bucket, post, name, value):
    allowed = [{"bucket": bucket}, {"key": "key"}, ["starts-with", f"${name}", ""]]
    assert post({name: value}, conditions=allowed).code == "InvalidArgument"
    assert keys_in(s3, bucket) == []


def test_conditional_forms(s3, bucket, post):
    assert post({"If-None-Match": "*"}).status == 204
    assert post({"If-None-Match": "*"}, b"other").code == "PreconditionFailed"
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"content"


# --- who signs


def test_both_versions(s3, bucket, post):
    for version in (2, 4):
        content = b"signed with %d" % version
        assert post(content=content, version=version).status == 204
        assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == content


@pytest.mark.parametrize("client", ["s3", "s3v4"])
def test_boto3s_own_forms(request, s3, bucket, post, client):
    signer = request.getfixturevalue(client)
    found = signer.generate_presigned_post(
        bucket,
        "up/${filename}",
        Fields={"Content-Type": "text/css", "success_action_status": "201"},
        Conditions=[
            ["starts-with", "$Content-Type", "text/"],
            {"success_action_status": "201"},
            ["content-length-range", 1, 100],
        ],
    )
    assert post.send(body_of(found["fields"], b"a {}", filename="a.css")).status == 201
    assert s3.head_object(Bucket=bucket, Key="up/a.css")["ContentType"] == "text/css"


def test_forms_that_nobody_signed(s3, bucket, post):
    assert told(post.send(body_of({"key": "key"}, b"content")))[:2] == (403, "AccessDenied")
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("version", [2, 4])
def test_each_field_of_a_signature_is_needed(s3, bucket, post, version):
    fields = post.signed(version=version)
    for name in fields:
        left = {other: value for other, value in fields.items() if other != name}
        answer = post.send(body_of(left, b"content"))
        assert told(answer)[:2] == (400, "InvalidArgument"), name
        assert f"must contain a field named '{name}'" in told(answer)[2]
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("version", [2, 4])
def test_wrong_signatures(s3, bucket, post, version):
    fields = post.signed(version=version)
    signature = "signature" if version == 2 else "x-amz-signature"
    key_id = "AWSAccessKeyId" if version == 2 else "x-amz-credential"
    other = policy_of([{"bucket": bucket}, ["starts-with", "$key", ""]])
    unknown = fields[key_id].replace(post.keys.access_key, "nobody")
    for name, value, code in (
        (signature, fields[signature][::-1], "SignatureDoesNotMatch"),
        (signature, "", "SignatureDoesNotMatch"),
        (signature, "ü", "SignatureDoesNotMatch"),
        ("policy", other, "SignatureDoesNotMatch"),
        ("policy", fields["policy"] + "\n", "SignatureDoesNotMatch"),
        ("policy", "", "SignatureDoesNotMatch"),
        (key_id, unknown, "InvalidAccessKeyId"),
    ):
        answer = post.send(body_of({**fields, name: value}, b"content"))
        assert told(answer)[:2] == (403, code), name
    assert keys_in(s3, bucket) == []


def test_another_version_of_a_signature_beside(post):
    fields = {**post.signed(version=4), **post.signed(version=2)}
    assert post.send(body_of(fields, b"content")).code == "InvalidArgument"


def test_scopes_and_dates_of_version_4(s3, bucket, post):
    keys, good = post.keys, scope_of(post.keys)
    credential, date = good["x-amz-credential"], good["x-amz-date"]
    long_ago, soon = now() - timedelta(days=8), now() + timedelta(hours=1)
    for changed, code in (
        ({"x-amz-credential": credential.replace("us-east-1", "eu-west-1")}, "InvalidArgument"),
        ({"x-amz-credential": credential.replace("/s3/", "/iam/")}, "InvalidArgument"),
        ({"x-amz-credential": credential.replace("aws4_request", "aws4")}, "InvalidArgument"),
        ({"x-amz-credential": "nonsense"}, "InvalidArgument"),
        ({"x-amz-algorithm": "AWS4-HMAC-SHA1"}, "InvalidArgument"),
        ({"x-amz-date": "today"}, "InvalidArgument"),
        ({"x-amz-date": "20200101T000000Z"}, "InvalidArgument"),  # not the credential's
        (scope_of(keys, long_ago), "AccessDenied"),
        (scope_of(keys, soon), "AccessDenied"),
    ):
        scope = {**good, **changed}
        said = [{name: value} for name, value in scope.items()]
        policy = policy_of([{"bucket": bucket}, {"key": "key"}, *said])
        fields = {"key": "key", **sign_v4(policy, keys, scope)}
        assert post.send(body_of(fields, b"content")).code == code, changed
    assert date[:8] in credential
    assert keys_in(s3, bucket) == []


def test_there_are_no_temporary_keys(post):
    answer = post({"x-amz-security-token": "token"}, version=4)
    assert told(answer)[:2] == (400, "InvalidToken")


def test_another_signer_has_no_access(s3, other_s3, bucket, post):
    assert post(keys=OTHER).code == "AccessDenied"
    assert keys_in(s3, bucket) == []


def test_a_form_is_not_signed_elsewhere(post, send):
    body = body_of({"key": "key"}, b"content")
    kind = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = send("POST", f"/{post.bucket}", headers=kind, body=body)
    assert told(answer)[:2] == (400, "InvalidRequest")


def test_headers_of_the_request_are_not_signed(s3, bucket, post):
    for name in ("x-amz-acl", "x-amz-meta-a", "x-amz-server-side-encryption"):
        answer = post(headers={name: "public-read"})
        assert told(answer)[:2] == (403, "AccessDenied")
    assert post(headers={"Cache-Control": "max-age=1", "If-Match": "x"}).status == 204
    assert "CacheControl" not in s3.head_object(Bucket=bucket, Key="key")


# --- conditions


def allowed(post, *conditions):
    return [{"bucket": post.bucket}, {"key": "key"}, *conditions]


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"x-amz-meta-a": "one"}, "one", "One"),
        (["eq", "$x-amz-meta-a", "one"], "one", "one "),
        (["EQ", "$X-AMZ-Meta-A", "one"], "one", ""),
        (["eq", "$x-amz-meta-a", 17], "17", "017"),
        (["starts-with", "$x-amz-meta-a", "on"], "one", "bone"),
        (["starts-with", "$Content-Type", "image/"], "image/png, image/gif", "image/png, text/css"),
    ],
)
def test_conditions(post, condition, good, bad):
    name = next(iter(condition)) if isinstance(condition, dict) else condition[1][1:]
    conditions = allowed(post, condition)
    assert post({name: good}, conditions=conditions).status == 204
    status, code, text = told(post({name: bad}, conditions=conditions))
    assert (status, code) == (403, "AccessDenied")
    assert text.startswith(AGAINST + "Policy Condition failed: [")


def test_a_field_that_a_condition_names_must_be_there(post):
    for condition in (["starts-with", "$x-amz-meta-a", ""], {"x-amz-meta-a": ""}):
        assert post(conditions=allowed(post, condition)).status == 403
        sent = post({"x-amz-meta-a": ""}, conditions=allowed(post, condition))
        assert sent.status == 204


def test_all_conditions_on_a_field_hold(post):
    both = [["starts-with", "$x-amz-meta-a", "on"], ["starts-with", "$x-amz-meta-a", "one"]]
    assert post({"x-amz-meta-a": "one"}, conditions=allowed(post, *both)).status == 204
    assert post({"x-amz-meta-a": "on"}, conditions=allowed(post, *both)).status == 403


@pytest.mark.parametrize(
    "name", ["x-amz-meta-a", "Content-Type", "acl", "tagging", "success_action_redirect", "other"]
)
def test_a_field_that_no_condition_names(s3, bucket, post, name):
    answer = post({name: "private"}, conditions=allowed(post))
    assert told(answer) == (403, "AccessDenied", f"{AGAINST}Extra input fields: {name.lower()}")
    assert keys_in(s3, bucket) == []


def test_fields_that_no_condition_needs_to_name(s3, bucket, post):
    assert post({"x-ignore-a": "b"}, conditions=allowed(post)).status == 204
    with_credentials = post.signed(conditions=allowed(post), version=2)
    assert post.send(body_of(with_credentials, b"content")).status == 204
    scope = scope_of(post.keys)
    unnamed = {"key": "key", **sign_v4(policy_of(allowed(post)), post.keys, scope)}
    answer = post.send(body_of(unnamed, b"content"))
    assert "Extra input fields: x-amz-algorithm" in told(answer)[2]


def test_the_bucket_is_that_of_the_url(s3, bucket, post, new_name):
    other = new_name()
    s3.create_bucket(Bucket=other)
    fields = post.signed()
    assert post.send(body_of(fields, b"content"), bucket=other).status == 403
    answer = post.send(body_of({"bucket": bucket, **fields}, b"content"), bucket=other)
    assert answer.status == 403
    lying = post({"bucket": other}, conditions=[{"bucket": bucket}, {"key": "key"}])
    assert lying.status == 403
    assert post({"bucket": bucket}, conditions=[{"bucket": bucket}, {"key": "key"}]).status == 204
    assert keys_in(s3, other) == []


def test_a_policy_must_name_the_bucket(s3, bucket, post):
    answer = post(conditions=[{"key": "key"}])
    assert told(answer)[2] == f"{AGAINST}Extra input fields: bucket"
    assert post(conditions=[{"key": "key"}, ["starts-with", "$bucket", bucket[:5]]]).status == 204


def test_a_policy_must_name_the_key(s3, bucket, post):
    assert told(post(conditions=[{"bucket": bucket}]))[2] == f"{AGAINST}Extra input fields: key"
    assert keys_in(s3, bucket) == []


def test_expired_policies(s3, bucket, post):
    answer = post(lasts=timedelta(seconds=-1))
    assert told(answer) == (403, "AccessDenied", f"{AGAINST}Policy expired.")
    assert keys_in(s3, bucket) == []


RANGES = [(0, 10), (5, 5), ("3", "7"), (7, 200_000), (70_000, 200_000), (0, 2 * MIB)]


@pytest.mark.parametrize("sizes", RANGES)
def test_sizes_that_a_policy_lets_through(s3, bucket, post, sizes):
    least, most = map(int, sizes)
    conditions = allowed(post, ["content-length-range", *sizes])
    for size in {least, most}:
        assert post(content=bytes(size), conditions=conditions).status == 204
    s3.delete_object(Bucket=bucket, Key="key")
    assert told(post(content=bytes(most + 1), conditions=conditions))[:2] == (400, "EntityTooLarge")
    if least:
        answer = post(content=bytes(least - 1), conditions=conditions)
        assert told(answer)[:2] == (400, "EntityTooSmall")
    assert keys_in(s3, bucket) == []


def test_fields_behind_the_file_do_not_count_for_its_size(post):
    fields = post.signed(conditions=allowed(post, ["content-length-range", 10, 20]))
    behind = [("more", "x" * 500)]
    assert post.send(body_of(fields, bytes(9), behind=behind)).code == "EntityTooSmall"
    assert post.send(body_of(fields, bytes(20), behind=behind)).status == 204
    assert post.send(body_of(fields, bytes(21), behind=behind)).code == "EntityTooLarge"


def test_all_ranges_hold(post):
    both = [["content-length-range", 0, 10], ["content-length-range", 5, 100]]
    for size, status in ((4, 400), (5, 204), (10, 204), (11, 400)):
        assert post(content=bytes(size), conditions=allowed(post, *both)).status == status


def test_a_file_that_cannot_fit_is_not_read(post):
    fields = post.signed(conditions=allowed(post, ["content-length-range", 0, MIB]))
    head = body_of(fields, b"")[: -len(BOUNDARY) - 8]
    answer = post.send(head + bytes(FORM_BYTES_MAX), length=1 << 32)
    assert told(answer)[:2] == (400, "EntityTooLarge")


@pytest.mark.parametrize(
    "document",
    [
        "", "not json", "[]", '{"expiration":', "null", "1e400", '"\\ud800"', "[" * 9000,
        '{"a":' * 2000,
        {"expiration": "2040-01-01T00:00:00Z"},
        {"conditions": []},
        {"EXPIRATION": "2040-01-01T00:00:00Z", "conditions": []},
        {"expiration": "2040-01-01T00:00:00Z", "conditions": [], "more": 1},
        {"expiration": "2040-01-01T00:00:00Z", "conditions": {}},
        *(
            {"expiration": when, "conditions": [["starts-with", "$key", ""]]}
            for when in (
                "tomorrow", 2_000_000_000, None, True, "2040-02-30T00:00:00Z", "2040-01-01",
                "2040-01-01T00:00:00", "2040-01-01 00:00:00Z", "2040-01-01T00:00:00+01:00",
                "20400101T000000Z", "２０４０-01-01T00:00:00Z",
            )
        ),
        '{"expiration":"2000-01-01T00:00:00Z","expiration":"2040-01-01T00:00:00Z","conditions":[]}',
        '{"expiration":"2040-01-01T00:00:00Z","conditions":[{"key":"a","key":"key"}]}',
        '{"expiration":"2040-01-01T00:00:00Z","conditions":[["content-length-range",0,1e400]]}',
        '{"expiration":"2040-01-01T00:00:00Z","conditions":[["content-length-range",0,NaN]]}',
    ],
)  # fmt: skip
def test_policies_that_are_none(s3, bucket, post, document):
    policy = encoded(document)
    answer = post.send(body_of({"key": "key", **sign_v2(policy, post.keys)}, b"content"))
    assert told(answer)[:2] == (400, "InvalidPolicyDocument")
    assert told(answer)[2].startswith("Invalid Policy: ")
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("policy", ["%%%", "e30", "e30=e30=", "ü", "e-_="])
def test_policies_that_are_no_base64(post, policy):
    answer = post.send(body_of({"key": "key", **sign_v2(policy, post.keys)}, b"content"))
    assert told(answer)[:2] == (400, "InvalidPolicyDocument")


@pytest.mark.parametrize(
    "condition",
    [
        None, True, 1, "eq", {}, {"key": "key", "acl": "a"}, {"key": 1}, {"key": None}, [], [[]],
        ["eq"], ["eq", "$key"], ["eq", "$key", "a", "b"], ["eq", 1, "a"], ["eq", "$key", True],
        ["eq", "$key", None], ["eq", "$key", ["a"]], ["like", "$key", "a"], [1, "$key", "a"],
        ["content-length-range"], ["content-length-range", 0], ["content-length-range", 0, 1, 2],
        ["content-length-range", -1, 10], ["content-length-range", 0, 1.5],
        ["content-length-range", "", 10], ["content-length-range", True, 10],
        ["content-length-range", "1e3", 10], ["content-length-range", 0, "９"],
        ["content-length-range", 0, 10**30],
    ],
)  # fmt: skip
def test_conditions_that_are_none(s3, bucket, post, condition):
    answer = post(conditions=[*allowed(post), condition])
    assert told(answer)[:2] == (400, "InvalidPolicyDocument")
    assert keys_in(s3, bucket) == []


@pytest.mark.parametrize("name", ["key", "$", "", "$nothing", "content-type"])
def test_conditions_on_no_field(post, name):
    assert post(conditions=[*allowed(post), ["eq", name, "key"]]).status == 403


def test_contradictions_let_nothing_through(post):
    for more in (["content-length-range", 10, 5], {"key": "other"}):
        assert post(content=bytes(7), conditions=[*allowed(post), more]).status >= 400


def test_the_escape_of_a_dollar(post):
    policy = policy_of([{"bucket": post.bucket}, ["eq", "$key", "@price"]])
    text = base64.b64decode(policy).decode().replace("@", r"\$")
    fields = {"key": "$price", **sign_v2(encoded(text), post.keys)}
    assert post.send(body_of(fields, b"content")).status == 204


# --- the form


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


# --- the answer


def test_what_is_answered(s3, bucket, post, server):
    url = f"{server.endpoint}/{bucket}/a%20b/%C3%BC%26.txt"
    for said, status in (("200", 200), ("204", 204), ("404", 204), ("", 204)):
        answer = post({"key": "a b/ü&.txt", "success_action_status": said})
        assert (answer.status, answer.body) == (status, b"")
        assert answer.headers["location"] == url
    answer = post({"key": "a b/ü&.txt", "success_action_status": "201"})
    found = {row.tag: row.text for row in ElementTree.fromstring(answer.body)}
    etag = s3.head_object(Bucket=bucket, Key="a b/ü&.txt")["ETag"]
    assert answer.status == 201
    assert found == {"Location": url, "Bucket": bucket, "Key": "a b/ü&.txt", "ETag": etag}
    assert answer.headers["location"] == url


@pytest.mark.parametrize("name", ["success_action_redirect", "redirect"])
@pytest.mark.parametrize(
    "url",
    ["https://example.com/done", "http://example.com:81/a?b=c&d#e", "https://a.example/%C3%BCü"],
)
def test_redirects(s3, bucket, post, name, url):
    answer = post({name: url, "key": "a b/&", "success_action_status": "201"})
    assert (answer.status, answer.body) == (303, b"")
    where, wanted = urlsplit(answer.headers["location"]), urlsplit(url)
    assert (where.scheme, where.netloc, where.fragment) == (
        wanted.scheme,
        wanted.netloc,
        wanted.fragment,
    )
    query = parse_qs(where.query, keep_blank_values=True)
    etag = s3.head_object(Bucket=bucket, Key="a b/&")["ETag"]
    assert where.query.startswith(wanted.query)
    assert (query["bucket"], query["key"], query["etag"]) == ([bucket], ["a b/&"], [etag])


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "/here",
        "javascript:alert(1)",
        "ftp://a/",
        "http://",
        "http://[",
        "http://a\r\nb: c",
    ],
)
def test_what_is_no_url_counts_as_not_said(post, url):
    allowed = [{"bucket": post.bucket}, {"key": "key"}, ["starts-with", "$redirect", ""]]
    answer = post({"redirect": url}, conditions=allowed)
    assert (answer.status, answer.headers["b"]) == (204, None)


def test_a_connection_goes_on_behind_a_form(server, bucket, post):
    """What nobody read of a form is never taken for the next request."""
    import http.client

    smuggled = f"\r\nGET /{bucket} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    body = body_of(post.signed(), b"content") + smuggled
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=30)
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    for _ in range(2):
        connection.request("POST", f"/{bucket}", body, kind)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
    connection.close()
