"""PostObject: the file, the fields that say what is stored, and what the browser is answered."""

import base64
import hashlib
import http.client
import os
import zlib
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from fastobj.core.limits import FORM_BYTES_MAX
from tests.s3.forms import (
    BOUNDARY,
    body_of,
    keys_in,
    policy_of,
    sign_v2,
    told,
)
from tests.s3.versioned import read, set_status, stack

KIB, MIB = 1024, 1024 * 1024
SIZES = [
    0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 80 * KIB, 84 * KIB + 1, MIB - 1, MIB, MIB + 1,
    3 * MIB - 2, 5 * MIB,
]  # fmt: skip


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
        ("x-amz-write-offset-bytes", "0", "NotImplemented"),
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
    smuggled = f"\r\nGET /{bucket} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    body = body_of(post.signed(), b"content") + smuggled
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=30)
    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    for _ in range(2):
        connection.request("POST", f"/{bucket}", body, kind)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (204, b"")
    connection.close()


def test_tags(s3, bucket, post):
    tags = [{"Key": "one", "Value": "1 + a=b/ü"}, {"Key": "two", "Value": ""}]
    listed = "".join(
        f"<Tag><Key>{tag['Key']}</Key><Value>{tag['Value']}</Value></Tag>" for tag in tags
    )
    assert post({"tagging": f"<Tagging><TagSet>{listed}</TagSet></Tagging>"}).status == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == tags
    for wrong in ("", "<Tagging>", "<Other/>", "a=b"):
        assert post({"tagging": wrong}).code == "MalformedXML"


# --- into a bucket with versions


@pytest.mark.parametrize("size", [10, 64 * KIB + 5])
def test_each_form_makes_a_version(s3, bucket, post, size):
    set_status(s3, bucket, "Enabled")
    bodies = [os.urandom(size) for _ in range(2)]
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    answers = [
        post({"tagging": tags, "success_action_status": "201"}, bodies[0]),
        post({"x-amz-server-side-encryption": "AES256"}, bodies[1]),
    ]
    assert [answer.status for answer in answers] == [201, 204]
    first, second = (answer.headers["x-amz-version-id"] for answer in answers)
    assert [read(s3, bucket, version=version) for version in (first, second)] == bodies
    assert read(s3, bucket) == bodies[1]
    heads = [
        s3.head_object(Bucket=bucket, Key="key", VersionId=version) for version in (first, second)
    ]
    assert [head.get("TagCount") for head in heads] == [1, None]
    assert [head.get("ServerSideEncryption") for head in heads] == [None, "AES256"]
    set_status(s3, bucket, "Suspended")
    assert "x-amz-version-id" not in post(content=b"null").headers
    assert stack(s3.list_object_versions(Bucket=bucket)) == [
        [("key", "null", True), ("key", second, False), ("key", first, False)],
        [],
    ]
