"""Trees of files that clients move: some files for every day, many, and a large one."""

import filecmp
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

MIB = 1024 * 1024
MANY_FILES, MANY_FOLDERS = 10_000, 100
LARGE_MIB = 2 * 1024
# Most clients send a file of this size in parts by default; rclone one above 200 MiB, s3fs 100 MiB.
IN_PARTS_BYTES = 17 * MIB


def write_few(tree: Path) -> Path:
    """Awkward names and one file that most clients send in parts, all of it a minute old.

    S3 tells when an object was changed in whole seconds, so a file that is uploaded within the
    second in which it was written looks newer than its object, and `sync` sends it again.
    """
    written = time.time() - 60
    for name, content in (
        ("a file.txt", b"text"),
        ("folder/empty", b""),
        ("folder/deep/er/ümlaut + 键", b"x" * 70_000),
        ("folder/100%25 & more=?.txt", b"signs"),
        ("large.bin", os.urandom(IN_PARTS_BYTES)),
    ):
        place = tree / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        os.utime(place, (written, written))
    return tree


def write_many(tree: Path, rng: random.Random) -> Path:
    """10,000 files of up to 4 KiB in a hundred folders."""
    for number in range(MANY_FILES):
        folder = tree / f"folder {number % MANY_FOLDERS}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05} +ü.bin").write_bytes(rng.randbytes(rng.randrange(4096)))
    return tree


def write_large(tree: Path) -> Path:
    """One file of 2 GiB, no two MiB of it alike, not sparse."""
    tree.mkdir(parents=True)
    block = bytearray(os.urandom(MIB))
    with (tree / "large.bin").open("wb") as stream:
        for number in range(LARGE_MIB):
            block[:8] = number.to_bytes(8, "big")
            stream.write(block)
    return tree


def files_below(tree: Path) -> set[Path]:
    """The files of a tree, each relative to it."""
    return {path.relative_to(tree) for path in _files(tree)}


def _files(tree: Path) -> Iterator[Path]:
    return (path for path in tree.rglob("*") if path.is_file())


def same_trees(one: Path, other: Path) -> None:
    """Asserts that two trees hold the same files with the same bytes."""
    assert files_below(one) == files_below(other)
    for path in files_below(one):
        assert filecmp.cmp(one / path, other / path, shallow=False), path
