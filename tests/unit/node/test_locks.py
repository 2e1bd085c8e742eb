"""Locks: one holder, told by its pid; released with the holder; closed in children."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastobj.core.errors import StoreLocked
from fastobj.node.layout import StoreLayout, prepare
from fastobj.node.locks import ServerLock, StoreLock, take_server_lock, take_store_lock


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    return prepare(tmp_path / "store")


class Process:
    """A forked child that does one thing, says so, and waits to be ended."""

    def __init__(self, do: Callable[[], object]) -> None:
        ready, said = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a test runner may have threads
            self.pid = os.fork()
        if self.pid == 0:
            try:
                do()
                os.write(said, b"x")
                signal.pause()
            finally:
                os._exit(1)
        os.close(said)
        assert os.read(ready, 1) == b"x"
        os.close(ready)

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def fork() -> Iterator[Callable[[Callable[[], object]], Process]]:
    started: list[Process] = []

    def start(do: Callable[[], object]) -> Process:
        started.append(Process(do))
        return started[-1]

    yield start
    for process in started:
        process.end()


Fork = Callable[[Callable[[], object]], Process]


def test_a_second_server_is_told_the_pid_and_the_cure(layout: StoreLayout, fork: Fork) -> None:
    process = fork(lambda: take_server_lock(layout))
    with pytest.raises(StoreLocked) as caught:
        take_server_lock(layout)
    assert f"process {process.pid}" in str(caught.value)
    assert "stop that server, or give this one a directory of its own" in str(caught.value)
    assert layout.server_lock.read_text().strip() == str(process.pid)


@pytest.mark.parametrize("take", [take_server_lock, take_store_lock])
def test_a_second_description_in_the_same_process_is_refused(
    layout: StoreLayout, take: Callable[..., ServerLock | StoreLock]
) -> None:
    lock = take(layout)
    arguments = {"wait_s": 0} if take is take_store_lock else {}
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        take(layout, **arguments)
    lock.close()
    lock.close()
    take(layout, **arguments).close()


def test_closing_another_descriptor_of_the_file_keeps_the_lock(layout: StoreLayout) -> None:
    lock = take_server_lock(layout)
    layout.server_lock.read_bytes()  # a POSIX lock would drop here
    with pytest.raises(StoreLocked):
        take_server_lock(layout)
    lock.close()


def test_a_child_that_closes_it_leaves_the_parents_lock_alone(
    layout: StoreLayout, fork: Fork
) -> None:
    lock = take_server_lock(layout)
    fork(lock.close)
    with pytest.raises(StoreLocked):
        take_server_lock(layout)
    lock.close()
    take_server_lock(layout).close()


def test_a_child_that_keeps_it_outlives_the_parents_lock(layout: StoreLayout, fork: Fork) -> None:
    lock = take_server_lock(layout)
    process = fork(lambda: lock)
    lock.close()
    with pytest.raises(StoreLocked):
        take_server_lock(layout)
    assert process.pid


def test_locks_end_with_their_process(layout: StoreLayout) -> None:
    process = Process(lambda: (take_server_lock(layout), take_store_lock(layout)))
    process.end()
    take_server_lock(layout).close()
    take_store_lock(layout, wait_s=0).close()


def test_the_writer_waits_for_the_one_before_it(layout: StoreLayout) -> None:
    before = take_store_lock(layout)
    timer = threading.Timer(0.1, before.close)
    timer.start()
    after = take_store_lock(layout, wait_s=60)
    timer.join()
    after.close()


def test_the_writer_does_not_wait_for_ever(layout: StoreLayout) -> None:
    before = take_store_lock(layout)
    with pytest.raises(StoreLocked, match=r"still being written by process \d+ after 0.05 s"):
        take_store_lock(layout, wait_s=0.05)
    before.close()


def test_the_two_locks_are_independent(layout: StoreLayout) -> None:
    locks = [take_server_lock(layout), take_store_lock(layout, wait_s=0)]
    for lock in locks:
        lock.close()


def test_a_holder_without_a_pid_is_still_a_holder(layout: StoreLayout) -> None:
    lock = take_server_lock(layout)
    layout.server_lock.write_bytes(b"")
    with pytest.raises(StoreLocked, match="another process"):
        take_server_lock(layout)
    lock.close()
