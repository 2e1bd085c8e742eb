"""Buckets with versions, and what a listing of them says."""

import pytest
from botocore.exceptions import ClientError


def set_status(s3, bucket, status):
    """Enables or suspends versioning."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3, bucket, key="key", body=b"x", **more):
    """Puts an object; returns the id of the version that it made, "null" where it told none."""
    return s3.put_object(Bucket=bucket, Key=key, Body=body, **more).get("VersionId", "null")


def read(s3, bucket, key="key", version=None):
    """The bytes of an object, or of a version."""
    named = {"VersionId": version} if version else {}
    return s3.get_object(Bucket=bucket, Key=key, **named)["Body"].read()


def stack(page):
    """What a page lists, in its order within each kind: (key, version id, is latest)."""
    return [
        [(one["Key"], one["VersionId"], one["IsLatest"]) for one in page.get(kind, [])]
        for kind in ("Versions", "DeleteMarkers")
    ]


def headers_of(call, **arguments):
    """The headers of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["ResponseMetadata"]["HTTPHeaders"]
