"""Control sockets: descriptors arrive, what must arrive waits for room, the end is seen."""

import os
import selectors
import socket

import pytest

from fastobj.node import links


@pytest.fixture
def ends():
    """Both ends of a control socket, not blocking."""
    ours, theirs = links.control_pair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


@pytest.fixture
def selector():
    with selectors.DefaultSelector() as made:
        yield made


def _fill(sock):
    count = 0
    try:
        while True:
            links.send(sock, links.CONNECTION, count)
            count += 1
    except BlockingIOError:
        return count


def test_messages_keep_their_bounds_and_their_order(ends):
    ours, theirs = ends
    links.send(ours, links.CONNECTION, 1)
    links.send(ours, links.STOP, 2**64 - 1)
    assert links.receive_all(theirs) == (
        [
            links.Message(links.CONNECTION, 1, -1),
            links.Message(links.STOP, 2**64 - 1, -1),
        ],
        True,
    )


def test_the_end_is_told_behind_the_last_message(ends):
    ours, theirs = ends
    links.send(ours, links.STOP, 5)
    ours.close()
    messages, alive = links.receive_all(theirs)
    assert [message.kind for message in messages] == [links.STOP]
    assert not alive


def test_a_descriptor_arrives_and_is_not_inherited(ends):
    ours, theirs = ends
    reading, writing = os.pipe()
    links.send(ours, links.LINK, 7, writing)
    os.close(writing)
    ([message], _) = links.receive_all(theirs)
    assert not os.get_inheritable(message.fd)
    os.write(message.fd, b"here")
    os.close(message.fd)
    assert os.read(reading, 9) == b"here"
    assert os.read(reading, 9) == b""
    os.close(reading)


def test_a_full_socket_refuses_offers_and_keeps_posts(ends, selector):
    ours, theirs = ends
    control = links.Control(ours, selector)
    filled = _fill(ours)
    assert not control.offer(links.CONNECTION, 1, 0)
    control.post(links.LINK, 42, socket.socket())
    control.post(links.STOP, 43)
    assert len(selector.get_map()) == 1
    messages, _ = links.receive_all(theirs)
    assert len(messages) == filled
    assert not control.offer(links.CONNECTION, 1, 0)  # nothing overtakes what waits
    for key, _ in selector.select(5):
        key.data(key.fileobj)
    ([link, stop], _) = links.receive_all(theirs)
    assert (link.kind, link.argument) == (links.LINK, 42)
    assert stop == links.Message(links.STOP, 43, -1)
    os.close(link.fd)
    assert not selector.get_map()
    assert control.offer(links.CONNECTION, 1, 0)


def test_what_is_posted_to_the_dead_is_dropped(ends, selector):
    ours, theirs = ends
    control = links.Control(ours, selector)
    theirs.close()
    passed = socket.socket()
    control.post(links.LINK, 1, passed)
    assert passed.fileno() == -1
    assert not selector.get_map()
    assert not control.offer(links.CONNECTION, 1, 0)


def test_closing_lets_go_of_what_waits(ends, selector):
    ours, _ = ends
    control = links.Control(ours, selector)
    _fill(ours)
    passed = socket.socket()
    control.post(links.LINK, 1, passed)
    control.close()
    assert passed.fileno() == -1
    assert ours.fileno() == -1
    assert not selector.get_map()


def test_a_link_takes_many_bodies_at_once():
    ours, theirs = links.link_pair()
    with ours, theirs:
        assert ours.send(bytes(1 << 20)) == 1 << 20
        assert not ours.getblocking()
