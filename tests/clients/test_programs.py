"""aws (1 and 2), rclone and s3cmd, as people type them: over HTTP and HTTPS."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.programs import Aws, Rclone, S3cmd
from tests.clients.site import SCHEMES, Site, fetched
from tests.clients.trees import MIB, files_below, same_trees

KEY = "folder/deep/er/ümlaut + 键"
Sites = Callable[[str, str], Site]
RCLONE_IN_PARTS_BYTES = 201 * MIB


@pytest.mark.parametrize("version", [1, 2])
def test_aws(crossed_site: Site, version: int, tmp_path: Path, few_files: Path) -> None:
    aws = Aws(crossed_site, tmp_path, version)
    name = f"aws{version}-{crossed_site.name}"
    bucket, up = f"s3://{name}", ("s3", "sync", "--no-progress", str(few_files), f"s3://{name}/in")
    aws("s3", "mb", bucket)
    assert len(aws(*up).splitlines()) == len(files_below(few_files))
    assert aws(*up) == ""
    listed = aws("s3", "ls", "--recursive", bucket).splitlines()
    assert len(listed) == len(files_below(few_files))
    folders = [line.split(maxsplit=1)[-1] for line in aws("s3", "ls", f"{bucket}/in/").splitlines()]
    assert folders[0] == "folder/"
    aws("s3", "cp", "--metadata", "note=x y", str(few_files / KEY), f"{bucket}/noted")
    aws("s3", "mv", f"{bucket}/noted", f"{bucket}/in/moved")
    head = ("s3api", "head-object", "--bucket", name, "--key")
    assert json.loads(aws(*head, "in/moved"))["Metadata"] == {"note": "x y"}
    assert json.loads(aws(*head, "in/large.bin"))["ETag"].endswith('-3"')
    aws("s3", "cp", f"{bucket}/in/large.bin", f"{bucket}/in/large copy.bin")  # in parts
    assert json.loads(aws(*head, "in/large copy.bin"))["ETag"].endswith('-3"')
    aws("s3", "mv", f"{bucket}/in/large copy.bin", f"{bucket}/in/large.bin")
    aws("s3", "cp", "--no-progress", f"{bucket}/in/moved", str(few_files.parent / "moved"))
    assert (few_files.parent / "moved").read_bytes() == (few_files / KEY).read_bytes()
    aws("s3", "rm", f"{bucket}/in/moved")
    aws("s3", "cp", "--recursive", "--no-progress", f"{bucket}/in", str(tmp_path / "back"))
    same_trees(few_files, tmp_path / "back")
    url = aws("s3", "presign", f"{bucket}/in/{KEY}").strip()
    assert fetched(crossed_site, url) == (few_files / KEY).read_bytes()
    assert "Uploads" not in aws("s3api", "list-multipart-uploads", "--bucket", name)
    aws("s3", "rb", "--force", bucket)
    assert "NoSuchBucket" in aws.refused("s3", "ls", bucket)


def test_urls_by_aws_1_in_both_versions(http_site: Site, tmp_path: Path) -> None:
    aws, file = Aws(http_site, tmp_path), tmp_path / "file"
    file.write_bytes(b"for everybody with the link")
    aws("s3", "mb", "s3://shared")
    aws("s3", "cp", str(file), "s3://shared/a file.txt")
    for settings, sign in (
        ({}, "AWSAccessKeyId="),
        ({"signature_version": "s3v4"}, "X-Amz-Signature="),
    ):
        url = Aws(http_site, tmp_path, **settings)(
            "s3", "presign", "s3://shared/a file.txt"
        ).strip()
        assert sign in url
        assert fetched(http_site, url) == file.read_bytes()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_rclone(sites: Sites, scheme: str, tmp_path: Path, few_files: Path) -> None:
    site = sites(scheme, "path")
    rclone, bucket = Rclone(site, tmp_path), f"fo:rclone-{scheme}"
    here, there = str(few_files), f"{bucket}/in"
    rclone("sync", here, there)
    assert "0 differences found" in rclone.told("check", here, there)
    assert "There was nothing to transfer" in rclone.told("sync", "--verbose", here, there)
    listed = rclone("lsf", "--recursive", "--files-only", there).splitlines()
    assert {Path(line) for line in listed} == files_below(few_files)
    noted = ("--metadata", "--metadata-set", "note=x y")
    rclone("copyto", *noted, f"{here}/{KEY}", f"{there}/noted")
    rclone("moveto", "--metadata", f"{there}/noted", f"{bucket}/moved")
    found = json.loads(rclone("lsjson", "--metadata", "--stat", f"{bucket}/moved"))
    assert found["Metadata"]["note"] == "x y"
    assert rclone("cat", f"{bucket}/moved").encode() == (few_files / KEY).read_bytes()
    url = rclone("link", "--expire", "1m", f"{there}/{KEY}").strip()
    assert fetched(site, url) == (few_files / KEY).read_bytes()
    rclone("sync", there, str(tmp_path / "back"))
    same_trees(few_files, tmp_path / "back")
    rclone("delete", there)
    rclone("purge", bucket)
    assert "directory not found" in rclone.refused("ls", bucket)


def test_rclone_in_parts(http_site: Site, tmp_path: Path) -> None:
    rclone, tree = Rclone(http_site, tmp_path), tmp_path / "tree"
    tree.mkdir()
    with (tree / "sparse").open("wb") as stream:
        stream.truncate(RCLONE_IN_PARTS_BYTES)
    rclone("copy", str(tree), "fo:rclone-parts")
    found = http_site.boto3().head_object(Bucket="rclone-parts", Key="sparse")
    assert found["ETag"].endswith('-41"')
    assert "0 differences found" in rclone.told("check", "--download", str(tree), "fo:rclone-parts")
    rclone("purge", "fo:rclone-parts")


def test_s3cmd(crossed_site: Site, tmp_path: Path, few_files: Path) -> None:
    s3cmd, name = S3cmd(crossed_site, tmp_path), f"s3cmd-{crossed_site.name}"
    bucket, up = f"s3://{name}", ("sync", f"{few_files}/", f"s3://{name}/in/")
    s3cmd("mb", bucket)
    assert "upload: " in s3cmd(*up)
    assert "upload: " not in s3cmd(*up)
    assert bucket in s3cmd("ls")
    listed = s3cmd("ls", "--recursive", bucket).splitlines()
    assert len(listed) == len(files_below(few_files))
    assert "DIR" in s3cmd("ls", f"{bucket}/in/")
    s3cmd("put", "--add-header=x-amz-meta-note:x y", str(few_files / KEY), f"{bucket}/noted")
    s3cmd("cp", f"{bucket}/noted", f"{bucket}/copy")
    s3cmd("mv", f"{bucket}/copy", f"{bucket}/moved")
    assert "x-amz-meta-note: x y" in s3cmd("info", f"{bucket}/moved")
    s3cmd("get", f"{bucket}/moved", str(tmp_path / "moved"))
    assert (tmp_path / "moved").read_bytes() == (few_files / KEY).read_bytes()
    found = crossed_site.boto3().head_object(Bucket=name, Key="in/large.bin")
    assert found["ETag"].endswith('-2"')
    url = s3cmd("signurl", f"{bucket}/in/a file.txt", "+60").strip()
    assert fetched(crossed_site, url) == (few_files / "a file.txt").read_bytes()
    (tmp_path / "back").mkdir()
    s3cmd("sync", f"{bucket}/in/", f"{tmp_path}/back/")
    same_trees(few_files, tmp_path / "back")
    s3cmd("del", f"{bucket}/moved", f"{bucket}/noted")
    assert s3cmd("multipart", bucket).splitlines()[2:] == []
    s3cmd("rb", "--recursive", "--force", bucket)
    assert "404" in s3cmd.refused("ls", bucket)
