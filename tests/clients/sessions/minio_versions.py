"""What somebody does with versions and tags by minio-py; scripts.py says with which arguments."""

import io
import sys

from minio import Minio
from minio.commonconfig import COPY, ENABLED, REPLACE, CopySource, Tags
from minio.credentials import EnvAWSProvider
from minio.deleteobjects import DeleteObject
from minio.versioningconfig import SUSPENDED, VersioningConfig

ENDPOINT, STYLE, BUCKET = sys.argv[1:]
SCHEME, _, HOST = ENDPOINT.partition("://")


def tags_of(**named):
    """A set of tags of an object."""
    found = Tags.new_object_tags()
    found.update(named)
    return found


def put(client, text, **more):
    """Puts a note; returns the id of its version."""
    return client.put_object(BUCKET, "note", io.BytesIO(text), len(text), **more).version_id


def versions(client):
    """Two versions and a delete marker; the first one read, copied back, all of them listed."""
    client.set_bucket_versioning(BUCKET, VersioningConfig(ENABLED))
    assert client.get_bucket_versioning(BUCKET).status == ENABLED
    first, second = put(client, b"as it was", tags=tags_of(state="old")), put(client, b"as it is")
    client.remove_object(BUCKET, "note")
    assert client.get_object(BUCKET, "note", version_id=first).data == b"as it was"
    listed = list(client.list_objects(BUCKET, include_version=True))
    assert [one.version_id for one in listed if not one.is_delete_marker] == [second, first]
    assert [one.is_latest for one in listed if one.is_delete_marker] == ["true"]
    client.copy_object(BUCKET, "note", CopySource(BUCKET, "note", version_id=first))
    assert client.get_object(BUCKET, "note").data == b"as it was"
    return first, second


def tags(client, first, second):
    """Of a version, and of copies."""
    assert client.get_object_tags(BUCKET, "note", version_id=first) == {"state": "old"}
    assert client.get_object_tags(BUCKET, "note") == {"state": "old"}  # a copy takes them along
    client.set_object_tags(BUCKET, "note", tags_of(state="ü b"), version_id=second)
    client.delete_object_tags(BUCKET, "note", version_id=first)
    assert client.get_object_tags(BUCKET, "note", version_id=second) == {"state": "ü b"}
    assert client.get_object_tags(BUCKET, "note", version_id=first) is None
    source = CopySource(BUCKET, "note", version_id=second)
    client.copy_object(BUCKET, "kept", source, tagging_directive=COPY, metadata_directive=REPLACE)
    assert client.get_object_tags(BUCKET, "kept") == {"state": "ü b"}


def suspended(client):
    """Only the null version is replaced; then all goes by its id, and the bucket."""
    client.set_bucket_versioning(BUCKET, VersioningConfig(SUSPENDED))
    before = len(list(client.list_objects(BUCKET, prefix="note", include_version=True)))
    put(client, b"null")
    put(client, b"null again")
    listed = list(client.list_objects(BUCKET, include_version=True))
    assert len([one for one in listed if one.object_name == "note"]) == before + 1
    assert client.get_object(BUCKET, "note", version_id="null").data == b"null again"
    named = [DeleteObject(one.object_name, one.version_id) for one in listed]
    assert not list(client.remove_objects(BUCKET, named))
    client.remove_bucket(BUCKET)


def main():
    """All of it."""
    client = Minio(HOST, credentials=EnvAWSProvider(), region="us-east-1", secure=SCHEME == "https")
    if STYLE == "virtual":
        client.enable_virtual_style_endpoint()
    client.make_bucket(BUCKET)
    tags(client, *versions(client))
    suspended(client)


main()
