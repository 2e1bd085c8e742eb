"""boto3, the AWS command line and minio-py: over HTTP and HTTPS, in both styles of addressing."""

import os
import ssl
import time
import urllib.request
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError

from fastobj.testing.process_server import ProcessServer
from tests.clients.conftest import DOMAIN, same_trees
from tests.clients.site import STYLES, Aws, Site, run
from tools.client_env import ensure

KEYS = ["plain", "a/b/c", "with blanks + signs", "ümlaut/键", "..", "a//b", "%2e"]


def fetched(site: Site, url: str, **more: Any) -> bytes:
    """What a URL answers to somebody without keys."""
    trusted = ssl.create_default_context(cafile=site.certificate) if site.certificate else None
    request = urllib.request.Request(url, **more)
    with urllib.request.urlopen(request, context=trusted) as response:
        answer: bytes = response.read()
        return answer


def test_boto3(site: Site) -> None:
    s3, bucket = site.boto3(), f"boto3-{site.name}"
    s3.create_bucket(Bucket=bucket)
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), Metadata={"note": "x y"})
        found = s3.get_object(Bucket=bucket, Key=key)
        assert (found["Body"].read(), found["Metadata"]) == (key.encode(), {"note": "x y"})
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(KEYS, key=str.encode)
    large = os.urandom(3 * 1024 * 1024 + 1)
    s3.put_object(Bucket=bucket, Key="large", Body=large)
    assert s3.get_object(Bucket=bucket, Key="large")["Body"].read() == large
    part = s3.get_object(Bucket=bucket, Key="large", Range="bytes=-7")
    assert part["Body"].read() == large[-7:]
    names = {"Bucket": bucket, "Key": "a/b/c"}
    fetched(site, s3.generate_presigned_url("put_object", names), data=b"link", method="PUT")
    assert fetched(site, s3.generate_presigned_url("get_object", names)) == b"link"
    keys = [{"Key": key} for key in [*KEYS, "large"]]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys}, ChecksumAlgorithm="CRC32")
    assert len(answer["Deleted"]) == len(keys)
    s3.delete_bucket(Bucket=bucket)
    assert bucket not in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]


def test_urls_that_boto3_makes_by_default(site: Site) -> None:
    s3, bucket = site.boto3(signature_version=None), f"boto3-urls-{site.name}"
    s3.create_bucket(Bucket=bucket)
    for key in KEYS:
        names = {"Bucket": bucket, "Key": key}
        url = s3.generate_presigned_url("put_object", {**names, "ContentType": "text/x"})
        assert "AWSAccessKeyId=" in url
        headers = {"Content-Type": "text/x"}
        fetched(site, url, data=key.encode(), method="PUT", headers=headers)
        named = {**names, "ResponseContentDisposition": 'attachment; filename="a & b"'}
        assert fetched(site, s3.generate_presigned_url("get_object", named)) == key.encode()
        assert fetched(site, s3.generate_presigned_url("head_object", names), method="HEAD") == b""
    listed = fetched(site, s3.generate_presigned_url("list_objects_v2", {"Bucket": bucket}))
    assert b"<KeyCount>%d<" % len(KEYS) in listed
    for key in KEYS:
        url = s3.generate_presigned_url("delete_object", {"Bucket": bucket, "Key": key})
        fetched(site, url, method="DELETE")
    s3.delete_bucket(Bucket=bucket)


@pytest.mark.parametrize("mode", ["all", "presigned", "off"])
def test_who_may_sign_with_version_2(mode: str, tmp_path: Path) -> None:
    arguments = (*DOMAIN, "--signature-v2", mode)
    with ProcessServer(tmp_path / "store", workers=1, arguments=arguments) as server:
        for style in STYLES:
            site, names = Site(server, "http", style), {"Bucket": f"v2-{style}", "Key": "a b/c"}
            site.boto3().create_bucket(Bucket=names["Bucket"])
            v2 = site.boto3("s3")
            with (
                nullcontext()
                if mode == "all"
                else pytest.raises(ClientError, match="InvalidRequest")
            ):
                v2.put_object(**names, Body=b"x" * 100_000, Metadata={"a": "b"})
            with (
                nullcontext()
                if mode == "all"
                else pytest.raises(ClientError, match="InvalidRequest")
            ):
                v2.list_objects(Bucket=names["Bucket"], Delimiter="/")
            url = v2.generate_presigned_url("put_object", names)
            no_type = {"Content-Type": ""}  # urllib would send one of its own
            with nullcontext() if mode != "off" else pytest.raises(HTTPError, match="400"):
                fetched(site, url, data=b"x", method="PUT", headers=no_type)


def test_boto3_with_its_default_checksums_over_http(http_site: Site) -> None:
    import boto3

    s3 = boto3.client(
        "s3",
        endpoint_url=http_site.endpoint,
        aws_access_key_id=http_site.server.access_key,
        aws_secret_access_key=http_site.server.secret_key,
        region_name="us-east-1",
    )
    s3.create_bucket(Bucket="boto3-defaults")
    answer = s3.put_object(Bucket="boto3-defaults", Key="k", Body=b"hello")
    assert answer["ChecksumCRC32"]
    assert s3.get_object(Bucket="boto3-defaults", Key="k")["Body"].read() == b"hello"


def test_aws(site: Site, tmp_path: Path, few_files: Path) -> None:
    aws, bucket = Aws(site, tmp_path), f"aws-{site.name}"
    aws("s3", "mb", f"s3://{bucket}")
    aws("s3", "sync", "--no-progress", str(few_files), f"s3://{bucket}/in")
    assert aws("s3", "sync", "--no-progress", str(few_files), f"s3://{bucket}/in") == ""
    listed = aws("s3", "ls", "--recursive", f"s3://{bucket}").splitlines()
    assert len(listed) == sum(path.is_file() for path in few_files.rglob("*"))
    aws("s3", "cp", "--recursive", "--no-progress", f"s3://{bucket}/in", str(tmp_path / "back"))
    same_trees(few_files, tmp_path / "back")
    url = aws("s3", "presign", f"s3://{bucket}/in/a file.txt").strip()
    assert fetched(site, url) == (few_files / "a file.txt").read_bytes()
    aws("s3", "rb", "--force", f"s3://{bucket}")


def test_minio_py(site: Site, tmp_path: Path) -> None:
    script = Path(__file__).with_name("minio_session.py")
    host = site.endpoint.partition("://")[2]
    command = [str(ensure("minio") / "python"), str(script), host, site.scheme, site.style]
    done = run([*command, f"minio-{site.name}"], site.environment(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def few_files(tmp_path: Path) -> Path:
    """A small tree with awkward names and one file of 3 MB, all of it a minute old.

    S3 tells when an object was changed in whole seconds, so a file that is uploaded within the
    second in which it was written looks newer than its object, and `sync` sends it again.
    """
    tree = tmp_path / "tree"
    written = time.time() - 60
    for name, content in (
        ("a file.txt", b"text"),
        ("folder/empty", b""),
        ("folder/deep/er/ümlaut + 键", b"x" * 70_000),
        ("large.bin", os.urandom(3 * 1024 * 1024)),
    ):
        place = tree / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        os.utime(place, (written, written))
    return tree
