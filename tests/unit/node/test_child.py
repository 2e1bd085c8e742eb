"""What a child inherits: the pages of the supervisor, shared for as long as possible."""

import gc
import os
import socket
from pathlib import Path

from fastobj.core.settings import Settings
from fastobj.node.child import ChildContext, fork_child


def private_bytes():
    """The pages that this process holds alone."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty:"))


def run_in_child(run):
    """Forks as the supervisor does; returns what the child left in its control socket."""
    ours, theirs = socket.socketpair()
    context = ChildContext("test", 0, 1, theirs, None, Settings(), None, True)
    with ours, theirs:
        pid = fork_child(context, run)
        assert os.waitpid(pid, 0) == (pid, 0)
        return ours.recv(64)


def test_a_collection_in_a_child_copies_no_page():
    kept = [[number] for number in range(200_000)]  # some 20 MB that a collector looks at

    def collect(context):
        before = private_bytes()
        gc.collect()
        context.control.send(b"%d" % (private_bytes() - before))
        return 0

    try:
        assert int(run_in_child(collect)) < 4 << 20
    finally:
        gc.unfreeze()
    assert len(kept) == 200_000
