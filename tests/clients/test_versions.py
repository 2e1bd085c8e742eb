"""Versions, as clients keep and fetch them: a tree is synced twice, and what it was is got back."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.clients.programs import Aws, Rclone
from tests.clients.scripts import Script
from tests.clients.site import Site

Sites = Callable[[str, str], Site]
FIRST, SECOND = "as it was", "as it is now, which is longer"


def tree_of(folder: Path) -> Path:
    """A tree of two files."""
    tree = folder / "tree"
    tree.mkdir()
    (tree / "note.txt").write_text(FIRST)
    (tree / "gone.txt").write_text("soon gone")
    return tree


def change(tree: Path) -> None:
    """One file says something else, the other one is gone."""
    (tree / "note.txt").write_text(SECOND)
    (tree / "gone.txt").unlink()


def versioned(site: Site, name: str) -> str:
    """A new bucket that keeps versions."""
    s3, status = site.boto3(), {"Status": "Enabled"}
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=status)
    return name


def test_aws(sites: Sites, tmp_path: Path) -> None:
    site = sites("https", "path")
    aws, tree, name = Aws(site, tmp_path), tree_of(tmp_path), "aws-versions"
    sync, named = ("s3", "sync", "--delete", str(tree), f"s3://{name}"), ("--bucket", name)
    aws("s3", "mb", f"s3://{name}")
    aws("s3api", "put-bucket-versioning", *named, "--versioning-configuration", "Status=Enabled")
    aws(*sync)
    change(tree)
    aws(*sync)
    found = json.loads(aws("s3api", "list-object-versions", *named))
    assert [one["Key"] for one in found["DeleteMarkers"]] == ["gone.txt"]
    notes = [one for one in found["Versions"] if one["Key"] == "note.txt"]
    assert [one["IsLatest"] for one in notes] == [True, False]
    back = tmp_path / "back"
    old = ("--key", "note.txt", "--version-id", notes[1]["VersionId"], str(back))
    aws("s3api", "get-object", *named, *old)
    assert back.read_text() == FIRST
    marker = ("--key", "gone.txt", "--version-id", found["DeleteMarkers"][0]["VersionId"])
    assert "true" in aws("s3api", "delete-object", *named, *marker)
    assert "gone.txt" in aws("s3", "ls", f"s3://{name}")


def test_boto3(crossed_site: Site) -> None:
    site, s3 = crossed_site, crossed_site.boto3()
    named = {"Bucket": versioned(site, f"boto3-versions-{site.name}"), "Key": "note"}
    first = s3.put_object(**named, Body=FIRST)["VersionId"]
    s3.put_object(**named, Body=SECOND)
    marker = s3.delete_object(**named)
    assert marker["DeleteMarker"]
    source = {**named, "VersionId": first}
    assert s3.get_object(**source)["Body"].read() == FIRST.encode()
    assert s3.copy_object(**named, CopySource=source)["CopySourceVersionId"] == first
    assert s3.get_object(**named)["Body"].read() == FIRST.encode()
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=named["Bucket"], PaginationConfig={"PageSize": 1}
    )
    listed = [
        {"Key": one["Key"], "VersionId": one["VersionId"]}
        for page in pages
        for one in page.get("Versions", []) + page.get("DeleteMarkers", [])
    ]
    assert (len(listed), listed[1]["VersionId"]) == (4, marker["VersionId"])
    s3.delete_objects(Bucket=named["Bucket"], Delete={"Objects": listed})
    s3.delete_bucket(Bucket=named["Bucket"])


def test_rclone(sites: Sites, tmp_path: Path) -> None:
    site = sites("https", "path")
    rclone, tree, name = Rclone(site, tmp_path), tree_of(tmp_path), "rclone-versions"
    there = f"fo:{versioned(site, name)}"
    rclone("sync", str(tree), there)
    change(tree)
    rclone("sync", str(tree), there)
    assert rclone("lsf", there).split() == ["note.txt"]
    listed = rclone("lsf", "--s3-versions", there).split()
    assert [line.partition("-v")[0] for line in listed if "-v" in line] == ["gone", "note"], listed
    old = next(line for line in listed if line.startswith("note-v"))
    assert rclone("cat", "--s3-versions", f"{there}/{old}") == FIRST
    assert rclone("cat", f"{there}/note.txt") == SECOND


def test_minio_py(crossed_site: Site, tmp_path: Path) -> None:
    Script(crossed_site, tmp_path, "minio-py versions").everyday(f"minio-v-{crossed_site.name}")
