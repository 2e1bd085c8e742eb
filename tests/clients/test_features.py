"""Tags, CORS, encryption, appends and renames, as clients use them. Customers' keys need HTTPS."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.clients.programs import Aws, Program, Rclone
from tests.clients.scripts import Script
from tests.clients.site import Site
from tests.clients.trees import MIB

Sites = Callable[[str, str], Site]
RULES = {
    "CORSRules": [
        {
            "AllowedOrigins": ["https://*.example.org"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 60,
        }
    ]
}
BY_DEFAULT = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
TAGS = {"TagSet": [{"Key": "color", "Value": "dark red"}, {"Key": "ü", "Value": ""}]}


@pytest.fixture
def secure(sites: Sites) -> Site:
    """The server that speaks TLS, in path style."""
    return sites("https", "path")


def bucket_of(site: Site, name: str) -> str:
    """A new bucket."""
    site.boto3().create_bucket(Bucket=name)
    return name


def preflight(url: str, origin: str) -> dict[str, str]:
    """What a browser is told that asks whether a page of that origin may PUT."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    request = urllib.request.Request(url, method="OPTIONS", headers=headers)
    with urllib.request.urlopen(request) as response:
        return {name.lower(): text for name, text in response.headers.items()}


# --- boto3


def test_cors_and_tags_by_boto3(http_site: Site) -> None:
    s3, name = http_site.boto3(), bucket_of(http_site, "boto3-tags")
    s3.put_bucket_cors(Bucket=name, CORSConfiguration=RULES)
    assert s3.get_bucket_cors(Bucket=name)["CORSRules"] == RULES["CORSRules"]
    told = preflight(f"{http_site.endpoint}/{name}/note", "https://www.example.org")
    assert told["access-control-allow-origin"] == "https://www.example.org"
    assert told["access-control-max-age"] == "60"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        preflight(f"{http_site.endpoint}/{name}/note", "https://example.com")
    s3.put_bucket_tagging(Bucket=name, Tagging=TAGS)
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == TAGS["TagSet"]
    named = {"Bucket": name, "Key": "note"}
    s3.put_object(**named, Body=b"note", Tagging="color=dark%20red&%C3%BC=")
    assert s3.get_object_tagging(**named)["TagSet"] == TAGS["TagSet"]
    assert s3.head_object(**named)["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"
    s3.delete_object_tagging(**named)
    assert s3.get_object_tagging(**named)["TagSet"] == []


def test_encryption_by_boto3(secure: Site) -> None:
    s3, name = secure.boto3(), bucket_of(secure, "boto3-encryption")
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
    large, named = os.urandom(9 * MIB + 1), {"Bucket": name, "Key": "large"}
    s3.upload_fileobj(BytesIO(large), **named, ExtraArgs=key)  # in parts
    part = s3.get_object(**named, **key, Range="bytes=8388600-8388620")
    assert part["Body"].read() == large[8388600:8388621]
    back = BytesIO()
    s3.download_fileobj(**named, Fileobj=back, ExtraArgs=key)
    assert back.getvalue() == large
    with pytest.raises(ClientError, match="400"):
        s3.head_object(**named)
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=BY_DEFAULT)
    s3.put_object(Bucket=name, Key="default", Body=b"at rest")
    found = s3.get_object(Bucket=name, Key="default")
    assert (found["Body"].read(), found["ServerSideEncryption"]) == (b"at rest", "AES256")


def test_append_and_rename_by_boto3(http_site: Site) -> None:
    s3, name = http_site.boto3(), bucket_of(http_site, "boto3-append")
    log = {"Bucket": name, "Key": "log"}
    s3.put_object(**log, Body=b"one\n", ChecksumAlgorithm="CRC32")
    s3.put_object(**log, Body=b"two\n", WriteOffsetBytes=4)
    with pytest.raises(ClientError, match="InvalidWriteOffset"):
        s3.put_object(**log, Body=b"late\n", WriteOffsetBytes=4)
    said = ["ETag", "ObjectParts", "ObjectSize", "Checksum"]
    found = s3.get_object_attributes(**log, ObjectAttributes=said)
    assert (found["ObjectSize"], found["ObjectParts"]["TotalPartsCount"]) == (8, 2)
    assert found["Checksum"]["ChecksumCRC32"]
    s3.rename_object(Bucket=name, Key="log.1", RenameSource="log")
    assert s3.get_object(Bucket=name, Key="log.1")["Body"].read() == b"one\ntwo\n"
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=name)["Contents"]] == ["log.1"]


# --- the AWS command line


def test_configurations_by_aws(http_site: Site, tmp_path: Path) -> None:
    aws, name = Aws(http_site, tmp_path), bucket_of(http_site, "aws-features")
    s3api, file = api_of(aws, name), tmp_path / "file"
    file.write_text("one\n")
    s3api("put-bucket-cors", "--cors-configuration", json.dumps(RULES))
    assert json.loads(s3api("get-bucket-cors")) == RULES
    rules = ("--server-side-encryption-configuration", json.dumps(BY_DEFAULT))
    note = ("--key", "note")
    s3api("put-object", *note, "--body", str(file), "--tagging", "color=dark%20red&%C3%BC=")
    assert json.loads(s3api("get-object-tagging", *note)) == TAGS
    s3api("put-object", *note, "--body", str(file), "--write-offset-bytes", "4")
    s3api("rename-object", "--key", "renamed", "--rename-source", "note")
    said = ("--object-attributes", "ObjectSize", "ObjectParts")
    found = json.loads(s3api("get-object-attributes", "--key", "renamed", *said))
    assert (found["ObjectSize"], found["ObjectParts"]["TotalPartsCount"]) == (8, 2)
    s3api("put-bucket-encryption", *rules)
    aws("s3", "cp", str(file), f"s3://{name}/default")
    assert json.loads(s3api("head-object", "--key", "default"))["ServerSideEncryption"] == "AES256"


def test_customers_keys_by_aws(secure: Site, tmp_path: Path) -> None:
    aws, name = Aws(secure, tmp_path), bucket_of(secure, "aws-customers")
    key, file, back = tmp_path / "key", tmp_path / "file", tmp_path / "back"
    key.write_bytes(os.urandom(32))
    file.write_bytes(os.urandom(9 * MIB + 1))
    with_key, where = ("--sse-c", "--sse-c-key", f"fileb://{key}"), f"s3://{name}/file"
    aws("s3", "cp", "--no-progress", *with_key, str(file), where)  # in parts
    aws("s3", "cp", "--no-progress", *with_key, where, str(back))
    assert back.read_bytes() == file.read_bytes()
    assert "Bad Request" in aws.refused("s3", "cp", "--no-progress", where, str(back))
    key_of_api = ("--sse-customer-algorithm", "AES256", "--sse-customer-key", f"fileb://{key}")
    part = ("--key", "file", "--range", "bytes=65530-65540", *key_of_api, str(back))
    api_of(aws, name)("get-object", *part)
    assert back.read_bytes() == file.read_bytes()[65530:65541]


def api_of(aws: Program, bucket: str) -> Callable[..., str]:
    """Its commands that are named after operations, on one bucket."""

    def call(operation: str, *arguments: str) -> str:
        return aws("s3api", operation, "--bucket", bucket, *arguments)

    return call


# --- rclone and minio-py


def test_encryption_by_rclone(secure: Site, tmp_path: Path) -> None:
    rclone, name = Rclone(secure, tmp_path), bucket_of(secure, "rclone-encryption")
    file = tmp_path / "secret"
    file.write_text("".join(f"{number:07}\n" for number in range(MIB // 8 + 1)))
    rclone("copyto", "--s3-server-side-encryption", "AES256", str(file), f"fo:{name}/ours")
    found = secure.boto3().head_object(Bucket=name, Key="ours")
    assert found["ServerSideEncryption"] == "AES256"
    key = "".join(chr(33 + byte % 90) for byte in os.urandom(32))  # this one takes only text
    with_key = ("--s3-sse-customer-algorithm", "AES256", "--s3-sse-customer-key", key)
    there, tagged = f"fo:{name}/secret", ("--header-upload", "x-amz-tagging: color=dark%20red")
    rclone("copyto", *with_key, *tagged, str(file), there)
    rclone("copyto", *with_key, there, str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    part = rclone("cat", *with_key, "--offset", "65530", "--count", "11", there)
    assert part == file.read_text()[65530:65541]
    tags = secure.boto3().get_object_tagging(Bucket=name, Key="secret")["TagSet"]
    assert tags == TAGS["TagSet"][:1]


def test_encryption_by_minio_py(secure: Site, tmp_path: Path) -> None:
    Script(secure, tmp_path, "minio-py encryption").everyday("minio-encryption")
