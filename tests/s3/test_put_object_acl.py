"""PutObjectAcl, and lists that are named when an object is stored: words, headers, XML."""

import threading

import pytest

from tests.s3.calls import refused
from tests.s3.conftest import OTHER
from tests.s3.grants import ALL_USERS, BAD, CANNED, HEADERS, malformed, policy, shown


@pytest.fixture
def owner(s3):
    """The id of who makes the buckets."""
    return s3.list_buckets()["Owner"]["ID"]


@pytest.fixture
def named(s3, bucket):
    """Bucket and key of an object that exists."""
    s3.put_object(Bucket=bucket, Key="key", Body=b"hello", Metadata={"a": "b"}, ContentType="a/b")
    return {"Bucket": bucket, "Key": "key"}


@pytest.mark.parametrize("size", [0, 5, 100_000])
@pytest.mark.parametrize("word", CANNED)
def test_canned(s3, named, owner, word, size):
    wanted = [*CANNED[word], (owner, "FULL_CONTROL")]
    s3.put_object_acl(**named, ACL=word)
    assert shown(s3.get_object_acl(**named)) == wanted
    body = b"x" * size
    s3.put_object(**named, Body=body, ACL=word)
    assert shown(s3.get_object_acl(**named)) == wanted
    assert s3.get_object(**named)["Body"].read() == body


@pytest.mark.parametrize(("said", "wanted"), HEADERS)
def test_headers(s3, named, said, wanted):
    s3.put_object_acl(**named, **said)
    assert shown(s3.get_object_acl(**named)) == wanted
    s3.put_object(**named, Body=b"x", **said)
    assert shown(s3.get_object_acl(**named)) == wanted


def test_xml(s3, named, owner):
    grants = [(owner, "FULL_CONTROL"), (OTHER.email, "READ"), (ALL_USERS, "WRITE_ACP")]
    s3.put_object_acl(**named, AccessControlPolicy=policy(owner, grants), VersionId="null")
    wanted = [(ALL_USERS, "WRITE_ACP"), (owner, "FULL_CONTROL"), (OTHER.id, "READ")]
    assert shown(s3.get_object_acl(**named)) == wanted


@pytest.mark.parametrize(("said", "code"), BAD)
def test_what_is_refused(s3, named, owner, said, code):
    assert refused(s3.put_object_acl, **named, **said) == (400, code)
    assert refused(s3.put_object, **named, Body=b"other", **said) == (400, code)
    assert shown(s3.get_object_acl(**named)) == [(owner, "FULL_CONTROL")]
    assert s3.get_object(**named)["Body"].read() == b"hello"


def test_malformed(send, s3, named, owner):
    path = f"/{named['Bucket']}/{named['Key']}"
    for document, code in malformed(owner):
        body = f"<AccessControlPolicy>{document}</AccessControlPolicy>".encode()
        answer = send("PUT", path, query="acl=", body=body)
        assert (answer.code, answer.status) == (code, 403 if code == "AccessDenied" else 400)
    assert send("PUT", path, query="acl=").code == "MissingSecurityHeader"
    assert shown(s3.get_object_acl(**named)) == [(owner, "FULL_CONTROL")]


def test_nothing_else_changes(s3, named):
    before = s3.get_object(**named)
    s3.put_object_acl(**named, ACL="public-read")
    after = s3.get_object(**named)
    assert (before.pop("Body").read(), after.pop("Body").read()) == (b"hello", b"hello")
    for answer in (before, after):
        del answer["ResponseMetadata"]
    assert before == after


def test_beside_rivals(s3, named, owner):
    """Whatever wins, the object is whole, and its list is one of those that were named."""

    def store():
        for number in range(10):
            s3.put_object(**named, Body=b"x" * number, ACL="public-read")

    rivals = [threading.Thread(target=store) for _ in range(4)]
    for rival in rivals:
        rival.start()
    for _ in range(10):
        s3.put_object_acl(**named, ACL="authenticated-read")
        assert len(shown(s3.get_object_acl(**named))) == 2
    for rival in rivals:
        rival.join()
    s3.put_object_acl(**named, ACL="private")
    assert shown(s3.get_object_acl(**named)) == [(owner, "FULL_CONTROL")]


def test_not_there(s3, bucket, new_name):
    named = {"Key": "key", "ACL": "private"}
    assert refused(s3.put_object_acl, Bucket=bucket, **named) == (404, "NoSuchKey")
    assert refused(s3.put_object_acl, Bucket=new_name(), **named) == (404, "NoSuchBucket")
