"""The committer's process from its start to its end, in a thread of the test."""

import re
import threading

import pytest

from fastobj.core import limits
from fastobj.core.errors import SyncFailed
from fastobj.node import committer_main, links
from fastobj.node.child import ChildContext
from fastobj.node.committer import EXIT_FENCED
from fastobj.node.layout import prepare
from fastobj.node.shared_page import COMMITTER, SharedPage
from fastobj.storage import faults, io
from tests.unit.node.test_committer import SETTINGS, Peer, entry


@pytest.fixture
def process(tmp_path, monkeypatch):
    """What runs a committer on a store; its I/O can be made to fail."""
    monkeypatch.setenv("FASTOBJ_FAULTS", "any:count")
    io.configure()
    process = Process(tmp_path / "store")
    yield process
    process.close()
    monkeypatch.undo()
    io.configure()


class Process:
    def __init__(self, directory):
        self.layout = prepare(directory)
        self.control, theirs = links.control_pair()
        self._theirs = theirs
        self.status = None
        page = SharedPage()
        self._context = ChildContext(
            "committer", COMMITTER, 1, theirs, self.layout, SETTINGS, page, is_first=False
        )
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        self.status = committer_main.run(self._context)

    def start(self):
        self._thread.start()

    def run(self):
        """On this thread, to its end."""
        return committer_main.run(self._context)

    def stop(self):
        links.send(self.control, links.STOP, 1000)
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.status

    def close(self):
        self.control.close()
        self._theirs.close()


def test_a_checkpoint_that_fails_at_the_end_leaves_a_fence(process, monkeypatch):
    """Its thread is asked for the result only when the files are closed."""
    monkeypatch.setattr(limits, "WAL_BYTES_PASSIVE", 100_000)
    process.start()
    peer = Peer(process, 1)
    peer.ready()
    peer.commit(entry(b"a"))
    assert peer.results() == [None]
    faults.arm("sync:path=*-wal:stall=300ms;sync:path=*-wal:error=EIO")
    peer.commit(*(entry(b"b%d" % number, bytes(30_000)) for number in range(4)))
    results = peer.results()
    status = process.stop()
    peer.sock.close()
    assert (results, status) == ([None] * 4, EXIT_FENCED)
    assert "Input/output error" in process.layout.fence.read_text()


@pytest.mark.parametrize("path", ["*/log/*.log", "*meta.db-wal"])
def test_a_sync_that_fails_at_the_start_leaves_a_fence(process, path):
    faults.arm(f"sync:path={path}:nth=1:error=EIO")
    with pytest.raises(SyncFailed):
        process.run()
    assert re.search("Input/output|disk I/O", process.layout.fence.read_text())
