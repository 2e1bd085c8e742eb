"""Lifecycle rules by minio-py, where a day is a second; scripts.py says with which arguments."""

import io
import sys
import time

from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.credentials import EnvAWSProvider
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule

ENDPOINT, _, BUCKET = sys.argv[1:]
SCHEME, _, HOST = ENDPOINT.partition("://")
WAIT_S_MAX = 60.0


def main():
    """Sets a rule, and sees what it names go."""
    client = Minio(HOST, credentials=EnvAWSProvider(), region="us-east-1", secure=SCHEME == "https")
    client.make_bucket(BUCKET)
    only = Filter(prefix="logs/")
    rule = Rule(ENABLED, rule_filter=only, rule_id="logs", expiration=Expiration(days=1))
    client.set_bucket_lifecycle(BUCKET, LifecycleConfig([rule]))
    (found,) = client.get_bucket_lifecycle(BUCKET).rules
    assert (found.rule_id, found.expiration.days, found.rule_filter.prefix) == ("logs", 1, "logs/")
    for key in ("logs/1", "kept"):
        client.put_object(BUCKET, key, io.BytesIO(b"a line"), 6)
    deadline = time.monotonic() + WAIT_S_MAX
    while [one.object_name for one in client.list_objects(BUCKET, recursive=True)] != ["kept"]:
        assert time.monotonic() < deadline, "the object expires"
        time.sleep(0.05)
    client.delete_bucket_lifecycle(BUCKET)
    assert client.get_bucket_lifecycle(BUCKET) is None


main()
