"""What somebody does with encryption and appends by minio-py; scripts.py says how it is run."""

import io
import os
import sys

from minio import Minio
from minio.commonconfig import CopySource
from minio.credentials import EnvAWSProvider
from minio.error import S3Error
from minio.sse import SseCustomerKey, SseS3
from minio.sseconfig import Rule, SSEConfig

ENDPOINT, STYLE, BUCKET = sys.argv[1:]
SCHEME, _, HOST = ENDPOINT.partition("://")
KEY, OTHER = SseCustomerKey(os.urandom(32)), SseCustomerKey(os.urandom(32))
LARGE = os.urandom(6 * 1024 * 1024 + 1)  # above 5 MiB it goes up in parts


def customers_key(client):
    """A large file goes up under a key, and a range of it comes back with that key alone."""
    client.put_object(BUCKET, "secret", io.BytesIO(LARGE), len(LARGE), sse=KEY)
    found = client.get_object(BUCKET, "secret", offset=65_530, length=100, ssec=KEY)
    assert found.data == LARGE[65_530:65_630]
    assert client.get_object(BUCKET, "secret", ssec=KEY).data == LARGE
    assert [status_of(client, wrong) for wrong in (None, OTHER)] == [400, 403]
    client.copy_object(BUCKET, "copy", CopySource(BUCKET, "secret", ssec=KEY), sse=OTHER)
    assert client.get_object(BUCKET, "copy", ssec=OTHER).data == LARGE


def status_of(client, key):
    """The status that a read with this key is answered with."""
    try:
        return client.get_object(BUCKET, "secret", ssec=key).status
    except S3Error as error:
        return error.response.status


def by_default(client):
    """What the bucket says is done to what says nothing."""
    client.set_bucket_encryption(BUCKET, SSEConfig(Rule.new_sse_s3_rule()))
    assert client.get_bucket_encryption(BUCKET).rule.sse_algorithm == "AES256"
    client.put_object(BUCKET, "default", io.BytesIO(b"at rest"), 7)
    client.put_object(BUCKET, "asked", io.BytesIO(b"at rest"), 7, sse=SseS3())
    for key in ("default", "asked"):
        assert client.get_object(BUCKET, key).data == b"at rest"
        told = client.stat_object(BUCKET, key).metadata
        assert told["x-amz-server-side-encryption"] == "AES256"
    client.delete_bucket_encryption(BUCKET)


def appended(client):
    """A log grows at its end."""
    client.put_object(BUCKET, "log", io.BytesIO(b"one\n"), 4)
    client.append_object(BUCKET, "log", io.BytesIO(b"two\n"), 4)
    assert client.get_object(BUCKET, "log").data == b"one\ntwo\n"


def main():
    """All of it."""
    client = Minio(HOST, credentials=EnvAWSProvider(), region="us-east-1", secure=SCHEME == "https")
    if STYLE == "virtual":
        client.enable_virtual_style_endpoint()
    client.make_bucket(BUCKET)
    customers_key(client)
    by_default(client)
    appended(client)


main()
