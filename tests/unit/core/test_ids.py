"""Random ids: each given out once, also on both sides of a fork."""

import os

import pytest

from fastobj.core import ids
from fastobj.core.ids import random_id

# A forked child only counts and ends: threads of the test runner are no matter.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def test_ids_have_the_length_asked_for():
    assert len(random_id()) == 16
    assert [len(random_id(count)) for count in (0, 1, 8, 4095, 4096)] == [0, 1, 8, 4095, 4096]


def test_no_id_is_given_out_twice():
    found = [random_id() for _ in range(5000)]
    assert len(set(found)) == len(found)


def test_lengths_that_do_not_divide_a_portion_never_overlap():
    found = b"".join(random_id(24) for _ in range(1000))
    windows = {found[at : at + 8] for at in range(0, len(found), 8)}
    assert len(windows) == len(found) // 8


def test_more_than_a_portion_is_refused():
    with pytest.raises(AssertionError, match="portion"):
        random_id(4097)


def test_bytes_come_from_the_system_in_portions(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "urandom", lambda count: asked.append(count) or bytes(count))
    portion = ids._Portion()
    for _ in range(257):
        portion.take(16)
    assert asked == [4096, 4096]


def test_parent_and_child_give_out_different_ids():
    random_id()  # what is left of the portion must not cross the fork
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(writing, b"".join(random_id() for _ in range(100)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        theirs = pipe.read()
    os.waitpid(pid, 0)
    assert len(theirs) == 1600
    ours = {random_id() for _ in range(300)}
    assert not ours & {theirs[at : at + 16] for at in range(0, 1600, 16)}
