"""The acceptor: what cannot be accepted or passed on makes it wait, and never turn in circles."""

import errno
import selectors
import socket

import pytest

from fastobj.core.clock import FixedClock
from fastobj.core.errors import StoreError
from fastobj.core.setting_kinds import Address
from fastobj.node.acceptor import Acceptor

PAUSE_NS = 100_000_000


class World:
    """An acceptor on a free port, whose connections are kept here."""

    def __init__(self):
        self.clock = FixedClock(0)
        self.selector = selectors.DefaultSelector()
        self.takes = True
        self.taken = []
        self.acceptor = Acceptor(self.selector, self._take, self.clock)
        self.acceptor.listen([Address("127.0.0.1", 0)])
        self.acceptor.start()

    def _take(self, connection, index):
        if self.takes:
            self.taken.append((connection.dup(), index))
        return self.takes

    def connect(self):
        return socket.create_connection(self.acceptor._listeners[0].getsockname())

    def turn(self):
        """One turn of the supervisor's loop; returns how many events it had."""
        events = self.selector.select(0.01)
        for key, _ in events:
            key.data(key.fileobj)
        self.acceptor.resume()
        return len(events)


@pytest.fixture
def world():
    made = World()
    yield made
    made.acceptor.close()
    made.selector.close()
    for connection, _ in made.taken:
        connection.close()


def test_connections_are_passed_on_with_their_listener(world):
    with world.connect() as client:
        world.turn()
        [(connection, index)] = world.taken
        connection.sendall(b"hello")
        assert client.recv(5) == b"hello"
        assert index == 0
        assert world.acceptor.due_ns is None


def test_what_nobody_takes_waits_and_is_not_lost(world):
    world.takes = False
    with world.connect() as client, world.connect():
        world.turn()
        assert world.acceptor.due_ns == PAUSE_NS
        assert world.turn() == 0  # the second connection does not keep the loop turning
        world.clock.advance(PAUSE_NS)
        world.turn()
        assert world.acceptor.due_ns == 2 * PAUSE_NS
        world.takes = True
        world.clock.advance(PAUSE_NS)
        world.turn()
        assert world.acceptor.due_ns is None
        world.turn()
        assert len(world.taken) == 2
        world.taken[0][0].sendall(b"x")
        assert client.recv(1) == b"x"


def test_what_is_given_back_goes_on_or_waits_in_turn(world):
    world.takes = False
    pairs = [socket.socketpair() for _ in range(4)]
    for _, given in pairs[:3]:
        world.acceptor.take(given, 1)
    assert world.acceptor.due_ns == PAUSE_NS
    world.clock.advance(PAUSE_NS)
    world.turn()
    assert not world.taken
    world.takes = True
    world.clock.advance(PAUSE_NS)
    world.turn()
    world.acceptor.take(pairs[3][1], 1)
    for (near, _), (connection, index) in zip(pairs, world.taken, strict=True):
        assert index == 1
        near.sendall(b"x")
        assert connection.recv(1) == b"x"
        near.close()


def test_at_the_end_those_in_the_queue_are_passed_on(world):
    """The system has told their clients that they are connected."""
    with world.connect() as client, world.connect():
        client.sendall(b"asked")
        world.acceptor.close()
        assert len(world.taken) == 2
        assert world.taken[0][0].recv(5) == b"asked"
    near, given = socket.socketpair()
    world.acceptor.take(given, 0)
    assert near.recv(1) == b""
    near.close()


class _Short:
    """A listener of a process that has no descriptors left."""

    def __init__(self, listener, code):
        self._listener = listener
        self.code = code

    def fileno(self):
        return self._listener.fileno()

    def accept(self):
        if self.code:
            raise OSError(self.code, "no")
        return self._listener.accept()

    def close(self):
        self._listener.close()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_without_descriptors_it_pauses_and_says_so_once(world, caplog, code):
    world.acceptor._stop()
    short = _Short(world.acceptor._listeners[0], code)
    world.acceptor._listeners[0] = short
    world.acceptor.start()
    with socket.create_connection(short._listener.getsockname()):
        for _ in range(3):
            assert world.turn() == 1
            assert world.turn() == 0
            world.clock.advance(PAUSE_NS)
            assert world.turn() == 0  # the pause ends here
        short.code = 0
        world.turn()
        assert len(world.taken) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_connection_that_ended_in_the_queue_is_no_reason_to_pause(world):
    world.acceptor._stop()
    short = _Short(world.acceptor._listeners[0], errno.ECONNABORTED)
    world.acceptor._listeners[0] = short
    world.acceptor.start()
    with socket.create_connection(short._listener.getsockname()):
        assert world.turn() == 1
        assert world.acceptor.due_ns is None
        short.code = 0
        world.turn()
        assert len(world.taken) == 1


def test_a_taken_address_is_named_and_nothing_stays_open(world):
    port = world.acceptor._listeners[0].getsockname()[1]
    other = Acceptor(world.selector, world._take, world.clock)
    addresses = [Address("127.0.0.1", 0), Address("127.0.0.1", port)]
    with pytest.raises(StoreError, match=rf"127.0.0.1:{port}: is in use already"):
        other.listen(addresses)
    assert all(listener.fileno() == -1 for listener in other._listeners)


def test_a_host_that_is_not_here_is_named(world):
    other = Acceptor(world.selector, world._take, world.clock)
    with pytest.raises(StoreError, match=r"cannot listen on 192.0.2.1:1"):
        other.listen([Address("192.0.2.1", 1)])
