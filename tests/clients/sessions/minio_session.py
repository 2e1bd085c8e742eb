"""What somebody does with minio-py in a day; scripts.py says with which arguments."""

import io
import os
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from minio import Minio
from minio.commonconfig import CopySource
from minio.credentials import EnvAWSProvider
from minio.deleteobjects import DeleteObject

ENDPOINT, STYLE, BUCKET, *FOLDERS = sys.argv[1:]
SCHEME, _, HOST = ENDPOINT.partition("://")
LARGE = os.urandom(6 * 1024 * 1024 + 1)  # above 5 MiB it goes up in parts
KEYS = ["plain", "a/b/c", "with blanks + signs", "ümlaut/键", "a//b"]


def everyday(client):
    """Everything once, each answer checked."""
    assert not client.bucket_exists(BUCKET)
    client.make_bucket(BUCKET)
    assert BUCKET in [bucket.name for bucket in client.list_buckets()]
    objects(client)
    large(client)
    presigned(client)
    remove(client)
    assert not client.bucket_exists(BUCKET)


def objects(client):
    """Put, list, read, copy."""
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
    client.copy_object(BUCKET, "copy", CopySource(BUCKET, KEYS[2]))
    assert client.get_object(BUCKET, "copy").data == KEYS[2].encode()
    assert client.stat_object(BUCKET, "copy").metadata["x-amz-meta-note"] == "x y"


def large(client):
    """In parts; read whole and in part."""
    client.put_object(BUCKET, "large", io.BytesIO(LARGE), len(LARGE))
    assert client.stat_object(BUCKET, "large").etag.endswith("-2")
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


def remove(client):
    """Everything in the bucket, and the bucket."""
    client.remove_object(BUCKET, "large")  # one by one where it is there, many at once
    entries = client.list_objects(BUCKET, recursive=True)
    errors = client.remove_objects(BUCKET, [DeleteObject(each.object_name) for each in entries])
    assert not list(errors)
    assert not list(client.list_objects(BUCKET, recursive=True))
    client.remove_bucket(BUCKET)


def go_around(client, tree, back):
    """A tree up and down."""
    client.make_bucket(BUCKET)
    keys = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: client.fput_object(BUCKET, key, str(tree / key)), keys))
        listed = [entry.object_name for entry in client.list_objects(BUCKET, recursive=True)]
        assert listed == sorted(keys, key=str.encode)
        list(pool.map(lambda key: client.fget_object(BUCKET, key, str(back / key)), listed))
    remove(client)


def main():
    """A day, or a tree."""
    client = Minio(HOST, credentials=EnvAWSProvider(), region="us-east-1", secure=SCHEME == "https")
    if STYLE == "virtual":
        client.enable_virtual_style_endpoint()
    if FOLDERS:
        go_around(client, *map(Path, FOLDERS))
    else:
        everyday(client)


main()
