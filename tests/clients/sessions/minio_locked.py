"""A locked backup by minio-py; scripts.py says with which arguments."""

import io
import sys
from datetime import UTC, datetime, timedelta

from minio import Minio
from minio.commonconfig import COMPLIANCE, GOVERNANCE
from minio.credentials import EnvAWSProvider
from minio.error import S3Error
from minio.objectlockconfig import DAYS, ObjectLockConfig
from minio.retention import Retention

ENDPOINT, STYLE, BUCKET = sys.argv[1:]
SCHEME, _, HOST = ENDPOINT.partition("://")


def until(days):
    """That time, in whole seconds."""
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


def put(client, **more):
    """Puts a backup; returns the id of its version."""
    return client.put_object(BUCKET, "backup", io.BytesIO(b"all"), 3, **more).version_id


def removal(client, version):
    """What the removal of a version is answered with; "" where it is gone."""
    try:
        client.remove_object(BUCKET, "backup", version_id=version)
    except S3Error as error:
        return error.code
    return ""


def main():
    """Retention by the bucket and by the object, then a legal hold."""
    client = Minio(HOST, credentials=EnvAWSProvider(), region="us-east-1", secure=SCHEME == "https")
    if STYLE == "virtual":
        client.enable_virtual_style_endpoint()
    client.make_bucket(BUCKET, object_lock=True)
    free = put(client)
    client.set_object_lock_config(BUCKET, ObjectLockConfig(GOVERNANCE, 1, DAYS))
    assert client.get_object_lock_config(BUCKET).mode == GOVERNANCE
    by_bucket = put(client)
    stated = put(client, retention=Retention(COMPLIANCE, until(2)), legal_hold=True)
    assert client.get_object_retention(BUCKET, "backup", by_bucket).mode == GOVERNANCE
    assert client.get_object_retention(BUCKET, "backup", stated).mode == COMPLIANCE
    assert client.is_object_legal_hold_enabled(BUCKET, "backup", stated)
    client.disable_object_legal_hold(BUCKET, "backup", stated)
    longer = Retention(COMPLIANCE, until(3))
    client.set_object_retention(BUCKET, "backup", longer, stated)
    found = client.get_object_retention(BUCKET, "backup", stated)
    assert found.retain_until_date == longer.retain_until_date
    assert removal(client, free) == ""
    assert removal(client, by_bucket) == removal(client, stated) == "AccessDenied"
    client.remove_object(BUCKET, "backup")
    assert client.get_object(BUCKET, "backup", version_id=stated).data == b"all"


main()
