"""What a process has open, as the kernel lists it."""

import contextlib
import os
from pathlib import Path


def targets(pid: int | str = "self") -> dict[int, str]:
    """Descriptor -> what it is. Raises FileNotFoundError, ProcessLookupError of one that ended."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # closed since
            found[int(entry.name)] = os.readlink(entry)
    return found
