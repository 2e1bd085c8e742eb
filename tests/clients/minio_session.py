"""What somebody does with minio-py in a day; run by its own interpreter, ends with 0 or a trace.

Arguments: HOST:PORT, `http` or `https`, `path` or `virtual`, a bucket's name.
"""

import io
import os
import sys
import urllib.request
from datetime import timedelta

from minio import Minio
from minio.credentials import EnvAWSProvider
from minio.deleteobjects import DeleteObject

HOST, SCHEME, STYLE, BUCKET = sys.argv[1:]
LARGE = os.urandom(3 * 1024 * 1024 + 1)
KEYS = ["plain", "a/b/c", "with blanks + signs", "ümlaut/键", "a//b"]


def main():
    """Everything once, each answer checked."""
    client = Minio(HOST, credentials=EnvAWSProvider(), region="us-east-1", secure=SCHEME == "https")
    if STYLE == "virtual":
        client.enable_virtual_style_endpoint()
    assert not client.bucket_exists(BUCKET)
    client.make_bucket(BUCKET)
    assert BUCKET in [bucket.name for bucket in client.list_buckets()]
    objects(client)
    presigned(client)
    client.remove_object(BUCKET, "large")
    errors = client.remove_objects(BUCKET, [DeleteObject(key) for key in KEYS])
    assert not list(errors)
    assert not list(client.list_objects(BUCKET, recursive=True))
    client.remove_bucket(BUCKET)
    assert not client.bucket_exists(BUCKET)


def objects(client):
    """Put, list, read whole and in part."""
    for key in KEYS:
        client.put_object(
            BUCKET, key, io.BytesIO(key.encode()), len(key.encode()), metadata={"note": "x y"}
        )
        assert client.get_object(BUCKET, key).data == key.encode()
        found = client.stat_object(BUCKET, key)
        assert (found.size, found.metadata["x-amz-meta-note"]) == (len(key.encode()), "x y")
    listed = [entry.object_name for entry in client.list_objects(BUCKET, recursive=True)]
    assert listed == sorted(KEYS, key=str.encode), listed
    folders = [entry.object_name for entry in client.list_objects(BUCKET) if entry.is_dir]
    assert folders == ["a/", "ümlaut/"], folders
    client.put_object(BUCKET, "large", io.BytesIO(LARGE), len(LARGE))
    assert client.get_object(BUCKET, "large").data == LARGE
    part = client.get_object(BUCKET, "large", offset=1024 * 1024 - 5, length=10)
    assert part.data == LARGE[1024 * 1024 - 5 : 1024 * 1024 + 5]


def presigned(client):
    """URLs for somebody without keys."""
    url = client.presigned_put_object(BUCKET, "plain", expires=timedelta(minutes=1))
    request = urllib.request.Request(url, data=b"from a link", method="PUT")
    with urllib.request.urlopen(request) as response:
        assert response.status == 200
    url = client.presigned_get_object(BUCKET, "plain", expires=timedelta(minutes=1))
    with urllib.request.urlopen(url) as response:
        assert response.read() == b"from a link"


main()
