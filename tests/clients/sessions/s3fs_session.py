"""What somebody does with s3fs in a day; scripts.py says with which arguments."""

import os
import sys
import tempfile
import urllib.request
from pathlib import Path

from s3fs import S3FileSystem

ENDPOINT, STYLE, BUCKET, *FOLDERS = sys.argv[1:]
BLOCK = 50 * 1024 * 1024  # what it sends at once by default
KEYS = ["plain", "a/b/c", "with blanks + signs", "ümlaut/键"]


def everyday(files):
    """Everything once, each answer checked."""
    assert not files.exists(BUCKET)
    files.mkdir(BUCKET)
    assert BUCKET in files.ls("")
    objects(files)
    in_parts(files)
    presigned(files)
    folders(files)
    files.rm(BUCKET, recursive=True)
    files.invalidate_cache()
    assert not files.exists(BUCKET)


def objects(files):
    """Written, read, listed, copied, moved."""
    for key in KEYS:
        path = f"{BUCKET}/{key}"
        with files.open(path, "wb", Metadata={"note": "x y"}) as stream:
            stream.write(key.encode())
        assert files.cat(path) == key.encode()
        assert files.info(path)["size"] == len(key.encode())
        assert files.metadata(path) == {"note": "x y"}
    assert sorted(files.find(BUCKET)) == sorted(f"{BUCKET}/{key}" for key in KEYS)
    assert files.isdir(f"{BUCKET}/a/b")
    assert files.glob(f"{BUCKET}/*/键") == [f"{BUCKET}/ümlaut/键"]
    files.copy(f"{BUCKET}/{KEYS[2]}", f"{BUCKET}/copy")
    assert files.metadata(f"{BUCKET}/copy") == {"note": "x y"}
    files.mv(f"{BUCKET}/copy", f"{BUCKET}/moved")
    assert files.cat(f"{BUCKET}/moved") == KEYS[2].encode()
    assert not files.exists(f"{BUCKET}/copy")
    files.setxattr(f"{BUCKET}/moved", note="z")  # copies onto itself
    assert files.getxattr(f"{BUCKET}/moved", "note") == "z"


def in_parts(files):
    """A stream that is longer than a block, read back in places."""
    path = f"{BUCKET}/large"
    tail = os.urandom(1000)
    with files.open(path, "wb") as stream:
        for _ in range(2):
            stream.write(bytes(BLOCK))
        stream.write(tail)
    found = files.info(path)
    assert (found["size"], "-" in found["ETag"]) == (2 * BLOCK + 1000, True), found
    with files.open(path, "rb") as stream:
        stream.seek(2 * BLOCK - 10)
        assert stream.read() == bytes(10) + tail
    assert files.cat_file(path, start=-7) == tail[-7:]
    with files.open(f"{BUCKET}/plain", "ab") as stream:
        stream.write(b" and more")
    assert files.cat(f"{BUCKET}/plain") == b"plain and more"
    with files.open(path, "ab") as stream:  # the first part is a copy of what is there
        stream.write(b" and more")
    assert files.info(path)["size"] == 2 * BLOCK + 1009
    assert files.cat_file(path, start=-10) == tail[-1:] + b" and more"


def presigned(files):
    """URLs for somebody without keys."""
    for method, operation, body in (("PUT", "put_object", b"link"), ("GET", "get_object", None)):
        url = files.sign(f"{BUCKET}/plain", expiration=60, client_method=operation)
        no_type = {"Content-Type": ""}  # urllib would send one of its own, and none was signed
        request = urllib.request.Request(url, body, no_type, method=method)
        with urllib.request.urlopen(request) as response:
            assert response.read() == (b"" if body else b"link")


def folders(files):
    """A folder up and down, as in `go_around`, with a file that goes up in parts."""
    with tempfile.TemporaryDirectory() as place:
        tree, back = Path(place, "tree"), Path(place, "back")
        (tree / "deep").mkdir(parents=True)
        (tree / "small").write_bytes(b"x")
        with (tree / "deep/sparse").open("wb") as stream:
            stream.truncate(2 * BLOCK + 1)
        files.put(f"{tree}/", f"{BUCKET}/tree", recursive=True)
        assert files.info(f"{BUCKET}/tree/deep/sparse")["ETag"].endswith('-3"')
        files.get(f"{BUCKET}/tree/", str(back), recursive=True)
        assert (back / "small").read_bytes() == b"x"
        assert (back / "deep/sparse").stat().st_size == 2 * BLOCK + 1


def go_around(files, tree, back):
    """A tree up and down."""
    files.mkdir(BUCKET)
    files.put(f"{tree}/", f"{BUCKET}/in", recursive=True)
    found = files.find(f"{BUCKET}/in")
    assert len(found) == sum(path.is_file() for path in tree.rglob("*")), len(found)
    files.get(f"{BUCKET}/in/", str(back), recursive=True)
    files.rm(BUCKET, recursive=True)


def main():
    """A day, or a tree."""
    settings = {"s3": {"addressing_style": "virtual"}} if STYLE == "virtual" else {}
    files = S3FileSystem(endpoint_url=ENDPOINT, config_kwargs=settings)
    if FOLDERS:
        go_around(files, *map(Path, FOLDERS))
    else:
        everyday(files)


main()
