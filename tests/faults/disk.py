"""A small file system of its own: ext4 in a file behind a loop device, or else a tmpfs."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MIB = 1 << 20


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Path]:
    """An empty file system of `size` bytes for as long as it is used; fails where none can be."""
    root = folder / "disk"
    root.mkdir()
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(size)
    tries = {
        "ext4": ["mount", "-o", "loop", str(image), str(root)],
        "tmpfs": ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(root)],
    }
    reasons = [_run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", str(image)])]
    for kind, command in tries.items():
        reason = _run(command)
        if not reason:
            print(f"file system under test: {kind}")
            break
        reasons.append(reason)
    else:
        pytest.fail(f"no file system can be mounted (this test needs root): {reasons}")
    try:
        yield root
    finally:
        subprocess.run(["umount", str(root)], check=True)
        image.unlink()


def _run(command: list[str]) -> str:
    """Why the command failed; empty where it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return done.stderr.strip() or str(done.returncode) if done.returncode else ""


def fill(path: Path) -> int:
    """Writes a file until nothing more fits, down to the last block; returns its size."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    size = 0
    try:
        for step in (MIB, 4096, 1):
            while True:
                try:
                    size += os.write(fd, bytes(step))
                    if step < MIB and size % MIB == 0:
                        os.fsync(fd)
                except OSError:
                    break
            _sync(fd)
    finally:
        os.close(fd)
    return size


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError:
        return  # it is full: that is what is wanted


def left(root: Path) -> int:
    """Bytes that the file system has left."""
    found = os.statvfs(root)
    return found.f_bavail * found.f_frsize
