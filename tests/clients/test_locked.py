"""A backup that nobody can remove before its time: made, attacked and got back by each client."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.clients.programs import Aws, Rclone
from tests.clients.scripts import Script
from tests.clients.site import Site

Sites = Callable[[str, str], Site]
BACKUP = "all that counts"


def default(mode: str) -> dict[str, object]:
    """What has objects of a bucket kept for a day."""
    rule = {"DefaultRetention": {"Mode": mode, "Days": 1}}
    return {"ObjectLockEnabled": "Enabled", "Rule": rule}


def locked_bucket(site: Site, name: str, mode: str) -> str:
    """A new bucket that keeps what is put into it."""
    s3 = site.boto3()
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=default(mode))
    return name


def test_boto3(http_site: Site) -> None:
    s3, name = http_site.boto3(), locked_bucket(http_site, "boto3-locked", "GOVERNANCE")
    named = {"Bucket": name, "Key": "backup"}
    kept = {**named, "VersionId": s3.put_object(**named, Body=BACKUP)["VersionId"]}
    assert s3.get_object_retention(**kept)["Retention"]["Mode"] == "GOVERNANCE"
    s3.put_object_legal_hold(**kept, LegalHold={"Status": "ON"})
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(**kept, BypassGovernanceRetention=True)
    s3.put_object_legal_hold(**kept, LegalHold={"Status": "OFF"})
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(**kept)
    s3.delete_object(**named)
    assert s3.get_object(**kept)["Body"].read() == BACKUP.encode()
    s3.delete_object(**kept, BypassGovernanceRetention=True)
    with pytest.raises(ClientError, match="NoSuchVersion"):
        s3.get_object(**kept)


def test_aws(http_site: Site, tmp_path: Path) -> None:
    aws, tree, name = Aws(http_site, tmp_path), tmp_path / "tree", "aws-locked"
    tree.mkdir()
    (tree / "backup").write_text(BACKUP)
    named = ("--bucket", name)
    aws("s3api", "create-bucket", *named, "--object-lock-enabled-for-bucket")
    wanted = ("--object-lock-configuration", json.dumps(default("COMPLIANCE")))
    aws("s3api", "put-object-lock-configuration", *named, *wanted)
    aws("s3", "sync", str(tree), f"s3://{name}")
    aws("s3", "rm", "--recursive", f"s3://{name}")
    listed = json.loads(aws("s3api", "list-object-versions", *named))
    kept = ("--key", "backup", "--version-id", listed["Versions"][0]["VersionId"])
    removal = ("delete-object", *named, *kept, "--bypass-governance-retention")
    assert "AccessDenied" in aws.refused("s3api", *removal)
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    shorter = ("--retention", json.dumps({"Mode": "COMPLIANCE", "RetainUntilDate": soon}))
    assert "AccessDenied" in aws.refused("s3api", "put-object-retention", *named, *kept, *shorter)
    aws("s3api", "get-object", *named, *kept, str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == BACKUP


def test_rclone(sites: Sites, tmp_path: Path) -> None:
    site = sites("https", "path")
    rclone, tree = Rclone(site, tmp_path), tmp_path / "tree"
    tree.mkdir()
    (tree / "backup.txt").write_text(BACKUP)
    there = f"fo:{locked_bucket(site, 'rclone-locked', 'COMPLIANCE')}"
    rclone("sync", str(tree), there)
    rclone("delete", there)
    assert rclone("lsf", there) == ""
    old = rclone("lsf", "--s3-versions", there).strip()
    assert rclone("cat", "--s3-versions", f"{there}/{old}") == BACKUP
    assert "Access Denied" in rclone.refused(
        "deletefile", "--retries", "1", "--s3-versions", f"{there}/{old}"
    )


def test_minio_py(crossed_site: Site, tmp_path: Path) -> None:
    """Over HTTP it sends no checksum, and signs the body instead."""
    Script(crossed_site, tmp_path, "minio-py locked").everyday(f"minio-{crossed_site.name}")
