"""What the tests of storage share."""

import os
import subprocess

import pytest

from fastobj._ext import segio


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    """The directory of records; the recorder is switched on by `io.configure`."""
    folder = tmp_path / "records"
    monkeypatch.setenv("FASTOBJ_IO_RECORD", str(folder))
    yield folder
    segio.record_close()


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 16 MiB; needs root."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
