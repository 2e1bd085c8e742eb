"""What the disk can do: the bound that figures of a durable store are read against."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path


def fdatasync_per_second(directory: Path, seconds: float = 1.0) -> float:
    """Overwrites of 4 KiB in a zero-filled file, each synced, one after the other."""
    body = os.urandom(4096)
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        os.write(file.fileno(), bytes(16 << 20))
        os.fsync(file.fileno())
        began, number = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            os.pwrite(file.fileno(), body, number % 4096 * 4096)
            os.fdatasync(file.fileno())
            number += 1
        return number / (time.perf_counter() - began)
