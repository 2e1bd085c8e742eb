"""Check 37: archives are bodies like any other. Nothing unpacks them, whatever a client asks."""

import io
import tarfile
import zipfile

import pytest

from tests.hardening.processes import MIB, workers_stay_below
from tests.hardening.test_34_keys import ESCAPE, assert_nothing_outside, keys_of, named

__all__ = ["named"]

MEMBERS = ["a", f"../{ESCAPE}", f"/tmp/{ESCAPE}", f"{'../' * 12}{ESCAPE}", "a/../../b", "a\\b", ""]
# By these, servers elsewhere are told to make objects of an archive's members, or to read one.
ASKED = [
    {"x-amz-meta-snowball-auto-extract": "true"},
    {"x-amz-meta-minio-snowball": "true", "x-amz-meta-minio-snowball-prefix": "p"},
    {"x-minio-extract": "true"},
    {"content-type": "application/x-tar", "content-encoding": "gzip"},
]
BOMB_BYTES = 64 * MIB
GROWTH_BYTES_MAX = 32 * MIB


def tar(mode="w"):
    """Files of bad names, and links out of wherever it is unpacked."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name in MEMBERS:
            member = tarfile.TarInfo(name)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"body"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo("link")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    return packed.getvalue()


def zipped():
    """The same names in the other form."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in filter(None, MEMBERS):
            archive.writestr(name, b"body")
    return packed.getvalue()


def bomb():
    """Far more bytes than it has."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("bomb")
        member.size = BOMB_BYTES
        archive.addfile(member, io.BytesIO(bytes(BOMB_BYTES)))
    return packed.getvalue()


ARCHIVES = {"tar": tar(), "tar.gz": tar("w:gz"), "zip": zipped(), "bomb": bomb()}


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: next(iter(asked)))
@pytest.mark.parametrize("form", ARCHIVES)
def test_an_archive_stays_whole(call, server, s3, bucket, named, target, form, asked):
    body = ARCHIVES[form]
    with workers_stay_below(server, GROWTH_BYTES_MAX):
        answer = call("PUT", bucket, "key", body=body, headers=asked, query=target.query)
    assert answer.status == 200, answer.body
    assert target.found()["Body"].read() == body
    assert keys_of(s3, bucket) == [b"key"]
    assert_nothing_outside(server, named)


def test_a_member_is_no_object(call, s3, bucket):
    s3.put_object(Bucket=bucket, Key="key.zip", Body=ARCHIVES["zip"])
    for headers in ({}, {"x-minio-extract": "true"}):
        answer = call("GET", bucket, "key.zip/a", headers=headers)
        assert (answer.status, answer.code) == (404, "NoSuchKey")
