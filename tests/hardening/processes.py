"""What the kernel says about the processes of a server."""

import contextlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from tests.descriptors import targets

MIB = 1024 * 1024


def pids_of(server, role):
    """The processes of a role."""
    return [pid for name, pid in server.pids() if name == role]


def _highest_bytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@contextlib.contextmanager
def workers_stay_below(server, growth_bytes_max):
    """Asserts that no worker dies, and that at no time one grew by more than that."""
    pids = pids_of(server, "worker")
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest is now the present one
    before = [_highest_bytes(pid) for pid in pids]
    yield
    assert pids_of(server, "worker") == pids
    grown = [_highest_bytes(pid) - size for pid, size in zip(pids, before, strict=True)]
    assert max(grown) <= growth_bytes_max, [f"{size / MIB:.1f} MiB" for size in grown]


class Descriptor(NamedTuple):
    """An open descriptor: what it is, and the flags of its opening."""

    number: int
    target: str
    flags: int

    @property
    def may_write(self):
        """Whether it was opened to write."""
        return bool(self.flags & (os.O_WRONLY | os.O_RDWR))


def descriptors(pid):
    """The open descriptors of a process."""
    found = []
    for number, target in targets(pid).items():
        with contextlib.suppress(FileNotFoundError):  # closed since
            state = Path(f"/proc/{pid}/fdinfo/{number}").read_text()
            flags = int(re.search(r"flags:\s+([0-7]+)", state)[1], 8)
            found.append(Descriptor(number, target, flags))
    return found
