"""Client libraries, in a day's use: over HTTP and HTTPS, in both styles of addressing."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError

from fastobj.testing.process_server import ProcessServer
from tests.clients.conftest import DOMAIN
from tests.clients.scripts import SCRIPTS, Script
from tests.clients.site import STYLES, Site, fetched

KEYS = ["plain", "a/b/c", "with blanks + signs", "ümlaut/键", "..", "a//b", "%2e"]
PATH_STYLE_ONLY = ("awscrt",)  # it asks for names itself, and finds none below localhost


def test_boto3(site: Site) -> None:
    s3, bucket = site.boto3(), f"boto3-{site.name}"
    s3.create_bucket(Bucket=bucket)
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode(), Metadata={"note": "x y"})
        found = s3.get_object(Bucket=bucket, Key=key)
        assert (found["Body"].read(), found["Metadata"]) == (key.encode(), {"note": "x y"})
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(KEYS, key=str.encode)
    s3.copy({"Bucket": bucket, "Key": KEYS[2]}, bucket, "copy")
    assert s3.head_object(Bucket=bucket, Key="copy")["Metadata"] == {"note": "x y"}
    large = os.urandom(9 * 1024 * 1024 + 1)
    s3.upload_fileobj(BytesIO(large), bucket, "large")
    found = s3.get_object(Bucket=bucket, Key="large")
    assert (found["Body"].read(), found["ETag"][-3:]) == (large, '-2"')
    part = s3.get_object(Bucket=bucket, Key="large", Range="bytes=-7")
    assert part["Body"].read() == large[-7:]
    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "large-copy")  # in parts
    found = s3.get_object(Bucket=bucket, Key="large-copy")
    assert (found["Body"].read(), found["ETag"][-3:]) == (large, '-2"')
    names = {"Bucket": bucket, "Key": "a/b/c"}
    fetched(site, s3.generate_presigned_url("put_object", names), data=b"link", method="PUT")
    assert fetched(site, s3.generate_presigned_url("get_object", names)) == b"link"
    keys = [{"Key": key} for key in [*KEYS, "copy", "large", "large-copy"]]
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


@pytest.mark.parametrize("client", SCRIPTS)
def test_scripts(crossed_site: Site, client: str, tmp_path: Path) -> None:
    style = "path" if client in PATH_STYLE_ONLY else crossed_site.style
    site = replace(crossed_site, style=style)
    Script(site, tmp_path, client).everyday(f"{client}-{site.name}")


@pytest.mark.parametrize(("scheme", "style"), [("http", "virtual"), ("https", "path")])
def test_minio_py_the_other_way_round(
    sites: Callable[[str, str], Site], scheme: str, style: str, tmp_path: Path
) -> None:
    Script(sites(scheme, style), tmp_path, "minio-py").everyday(f"minio-{scheme}-{style}")
