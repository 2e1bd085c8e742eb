"""The rolling restart: in which order, what it waits for, and what asks for another one."""

import pytest

from fastobj.core.clock import FixedClock
from fastobj.node.process_slot import Child
from fastobj.node.roll import Roll

TIME_NS = 1000


class Host:
    """A supervisor whose children begin and end when a test says so."""

    def __init__(self):
        self.said = []
        self.pids = 0
        self.workers = [self.begin(Child("worker", slot, lambda _: 0)) for slot in (3, 4)]
        self.others = [
            self.begin(Child(role, slot, lambda _: 0))
            for slot, role in enumerate(("committer", "maintenance"), 1)
        ]

    def begin(self, child):
        """A life of the child begins."""
        self.pids += 1
        child.pid = child.owner = self.pids
        return child

    def end(self, child):
        """A life of the child ends."""
        child.pid = 0
        child.is_ready = False

    def replaceable(self):
        return [*self.workers, *self.others]

    def begin_beside(self, worker):
        child = self.begin(Child("worker", 9, worker.run))
        self.workers.insert(0, child)
        self.said.append(("begin", child))
        return child

    def retire(self, child):
        self.said.append(("retire", child))
        if child in self.workers:
            self.workers.remove(child)

    def kill(self, child):
        self.said.append(("kill", child))

    def dismiss(self, worker):
        self.said.append(("dismiss", worker))


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def clock():
    return FixedClock(0)


@pytest.fixture
def roll(host, clock):
    return Roll(host, clock, TIME_NS)


def _replace_worker(host, roll, old):
    """Sees one worker through its replacement."""
    verb, fresh = host.said.pop(0)
    assert verb == "begin"
    roll.step()
    assert not host.said  # the old one serves until the new one does
    fresh.is_ready = True
    roll.step()
    assert host.said.pop(0) == ("retire", old)
    roll.step()
    assert not host.said
    host.end(old)
    roll.step()
    assert host.said.pop(0) == ("dismiss", old)


def _replace_others(host, roll):
    committer, maintenance = host.others
    assert host.said.pop(0) == ("retire", committer)
    host.end(committer)
    roll.step()
    assert not host.said  # until the next one serves
    host.begin(committer)
    roll.step()
    assert not host.said
    committer.is_ready = True
    roll.step()
    assert host.said.pop(0) == ("retire", maintenance)
    host.begin(maintenance)
    roll.step()


def test_each_is_replaced_when_the_one_before_it_is(host, roll):
    old = list(host.workers)
    roll.step()
    assert not host.said
    roll.ask()
    roll.step()
    for worker in old:
        _replace_worker(host, roll, worker)
    _replace_others(host, roll)
    assert not host.said
    roll.step()
    assert not host.said
    assert roll.due_ns is None


def test_what_is_asked_for_meanwhile_follows_once(host, roll):
    roll.ask()
    roll.step()
    for _ in range(3):
        roll.ask()
    for _ in range(2):
        for worker in host.replaceable()[1:3]:  # behind the first successor
            _replace_worker(host, roll, worker)
        _replace_others(host, roll)
    assert not host.said


def test_who_was_started_anew_meanwhile_is_let_be(host, roll):
    first, second = host.workers
    roll.ask()
    roll.step()
    host.begin(second)
    host.end(host.others[0])  # between two lives
    host.begin(host.others[1])
    _replace_worker(host, roll, first)
    assert not host.said


def test_a_worker_that_dies_first_costs_no_more_than_its_place(host, roll):
    first, second = host.workers
    roll.ask()
    roll.step()
    [(_, fresh)] = host.said
    host.begin(first)  # another life, while its successor begins
    host.end(fresh)
    host.begin(fresh)  # and so has the successor
    host.said.clear()
    fresh.is_ready = True
    roll.step()
    assert host.said.pop(0) == ("retire", first)
    host.end(first)
    roll.step()
    assert host.said.pop(0) == ("dismiss", first)
    _replace_worker(host, roll, second)


def test_who_does_not_end_in_time_is_killed_once(host, roll, clock):
    first = host.workers[0]
    roll.ask()
    roll.step()
    host.said.pop()[1].is_ready = True
    roll.step()
    assert host.said.pop() == ("retire", first)
    assert roll.due_ns == TIME_NS
    clock.advance(TIME_NS - 1)
    roll.step()
    assert not host.said
    clock.advance(1)
    roll.step()
    assert host.said == [("kill", first)]
    assert roll.due_ns is None
    roll.step()
    assert host.said == [("kill", first)]
    host.end(first)
    roll.step()
    assert host.said[1] == ("dismiss", first)
