"""Buckets whose objects may be locked, and short ways to lock and to remove."""

from datetime import UTC, datetime, timedelta


def new_locked_bucket(s3, name, **default):
    """Makes one; `default` is Mode with Days or Years."""
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    if default:
        configure(s3, name, **default)
    return name


def configure(s3, bucket, **default):
    """Sets the default retention, or none."""
    wanted = {"ObjectLockEnabled": "Enabled"}
    if default:
        wanted["Rule"] = {"DefaultRetention": default}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=wanted)


def in_days(days):
    """That time, in whole seconds."""
    return (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)


def lock_of(s3, bucket, key="key", version=None):
    """Mode, date and legal hold that a HEAD tells."""
    named = {"VersionId": version} if version else {}
    head = s3.head_object(Bucket=bucket, Key=key, **named)
    names = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
    return tuple(head.get(name) for name in names)


def remove(s3, bucket, version, key="key", **more):
    """Removes a version for good."""
    return s3.delete_object(Bucket=bucket, Key=key, VersionId=version, **more)
