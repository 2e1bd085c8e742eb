"""The shared page: one writer per cell, read by all processes."""

import os

import pytest

from fastobj.core.metrics import Metric
from fastobj.node.shared_page import (
    COMMITTER,
    FIRST_WORKER,
    MAINTENANCE,
    PROCESSES_MAX,
    SUPERVISOR,
    SharedPage,
)

GAUGES_AND_COUNTERS = (Metric.S3_BYTES_IN, Metric.HTTP_CONNECTIONS, Metric.LAST_SEQUENCE)

# A forked child only counts and ends: threads of the test runner are no matter.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def page() -> SharedPage:
    return SharedPage()


def _in_child(action) -> None:
    pid = os.fork()
    if not pid:
        action()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def test_owners_come_and_go(page):
    page.set_owner(COMMITTER, 2**64 - 1)
    page.set_owner(MAINTENANCE, 5)
    assert page.live_owners() == {2**64 - 1, 5}
    page.set_owner(COMMITTER, 0)
    assert page.live_owners() == {5}
    assert (page.owner(COMMITTER), page.owner(MAINTENANCE)) == (0, 5)


def test_slots_do_not_touch_each_other(page):
    slots = range(PROCESSES_MAX)
    for slot in slots:
        page.set_owner(slot, slot + 1)
        page.set_closed(slot, slot + 1000)
        page.set_pid(slot, slot + 5000)
        for metric in GAUGES_AND_COUNTERS:
            page.metrics.of(slot).set(metric, slot + 10_000)
    assert [page.owner(slot) for slot in slots] == [slot + 1 for slot in slots]
    assert [page.closed(slot) for slot in slots] == [slot + 1000 for slot in slots]
    assert [pid for _, _, pid in page.processes()] == [slot + 5000 for slot in slots]
    expected = sum(slot + 10_000 for slot in slots)
    assert all(page.metrics.total(metric) == expected for metric in GAUGES_AND_COUNTERS)
    assert page.epochs.read(b"any") == 0


def test_metrics_of_processes_share_no_cache_line(page):
    """One process's writes must not slow another's."""
    stride = page.metrics._stride
    assert stride * 8 % 64 == 0
    assert stride >= page.metrics._layout.cells


def test_processes_are_named_by_role_and_number(page):
    page.set_pid(FIRST_WORKER + 1, 40)
    page.set_pid(SUPERVISOR, 10)
    page.set_pid(COMMITTER, 20)
    page.set_pid(MAINTENANCE, 30)
    page.set_pid(COMMITTER, 0)
    assert list(page.processes()) == [
        ("supervisor", 0, 10),
        ("maintenance", 0, 30),
        ("worker", 1, 40),
    ]


def test_a_page_for_few_workers_has_cells_for_these_only():
    page = SharedPage(workers=2)
    page.metrics.of(FIRST_WORKER + 1).add(Metric.S3_BYTES_IN, 7)
    assert page.metrics.total(Metric.S3_BYTES_IN) == 7
    page.metrics.of(FIRST_WORKER + 2).add(Metric.S3_BYTES_IN, 1)  # who replaces one of them
    assert page.metrics.total(Metric.S3_BYTES_IN) == 8
    with pytest.raises(IndexError):
        page.metrics.of(FIRST_WORKER + 3).add(Metric.S3_BYTES_IN, 7)


def test_a_child_writes_what_the_parent_reads(page):
    def child() -> None:
        page.epochs.bump(b"bucket")
        page.set_closed(FIRST_WORKER, 7)
        page.metrics.of(FIRST_WORKER).add(Metric.S3_BYTES_IN, 11)

    _in_child(child)
    _in_child(child)
    assert page.epochs.read(b"bucket") == 2
    assert page.closed(FIRST_WORKER) == 7
    assert page.metrics.total(Metric.S3_BYTES_IN) == 22  # the second goes on from the first
    page.metrics.of(SUPERVISOR).add(Metric.S3_BYTES_IN, 1)
    assert page.metrics.total(Metric.S3_BYTES_IN) == 23


def test_a_bump_is_seen_for_its_key_and_bump_all_for_every_key(page):
    keys = [b"bucket-%d" % number for number in range(200)]
    before = [page.epochs.read(key) for key in keys]
    page.epochs.bump(keys[0])
    assert page.epochs.read(keys[0]) == before[0] + 1
    changed = sum(page.epochs.read(key) != old for key, old in zip(keys, before, strict=True))
    assert changed < 10  # those that share the slot
    page.epochs.bump_all()
    assert all(page.epochs.read(key) > old for key, old in zip(keys, before, strict=True))


def test_an_epoch_turns_over_at_its_end(page):
    page.epochs._cells[:] = memoryview(b"\xff" * 8 * 4096).cast("Q")
    page.epochs.bump(b"x")
    assert page.epochs.read(b"x") == 0
    page.epochs.bump_all()
    assert page.epochs.read(b"x") == 1
