"""Control sockets: descriptors arrive, what must arrive waits for room, the end is seen."""

import os
import selectors
import socket
import threading

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


@pytest.fixture
def heard():
    """What the child has said."""
    return []


def _turn(selector):
    """One turn of the supervisor's loop."""
    for key, _ in selector.select(5):
        key.data(key.fileobj)


def _awaited(selector):
    [key] = selector.get_map().values()
    return key.events


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


def test_a_full_socket_refuses_offers_and_keeps_posts(ends, selector, heard):
    ours, theirs = ends
    control = links.Control(ours, selector, heard.append)
    filled = _fill(ours)
    assert not control.offer(links.CONNECTION, 1, 0)
    control.post(links.LINK, 42, socket.socket())
    control.post(links.STOP, 43)
    assert _awaited(selector) == selectors.EVENT_READ | selectors.EVENT_WRITE
    messages, _ = links.receive_all(theirs)
    assert len(messages) == filled
    assert not control.offer(links.CONNECTION, 1, 0)  # nothing overtakes what waits
    _turn(selector)
    ([link, stop], _) = links.receive_all(theirs)
    assert (link.kind, link.argument) == (links.LINK, 42)
    assert stop == links.Message(links.STOP, 43, -1)
    os.close(link.fd)
    assert _awaited(selector) == selectors.EVENT_READ
    assert control.offer(links.CONNECTION, 1, 0)


def test_what_is_posted_to_the_dead_is_dropped(ends, selector, heard):
    ours, theirs = ends
    control = links.Control(ours, selector, heard.append)
    theirs.close()
    passed = socket.socket()
    control.post(links.LINK, 1, passed)
    assert passed.fileno() == -1
    _turn(selector)
    assert not selector.get_map()  # an end that stays readable must not keep the loop turning
    assert not control.offer(links.CONNECTION, 1, 0)


def test_closing_lets_go_of_what_waits(ends, selector, heard):
    ours, _ = ends
    control = links.Control(ours, selector, heard.append)
    _fill(ours)
    passed = socket.socket()
    control.post(links.LINK, 1, passed)
    control.close()
    assert passed.fileno() == -1
    assert ours.fileno() == -1
    assert not selector.get_map()


def test_what_a_child_says_is_heard_even_behind_its_end(ends, selector, heard):
    """It ends with messages unread, which is a reset in front of its own."""
    ours, theirs = ends
    control = links.Control(ours, selector, heard.append)
    links.send(theirs, links.READY)
    _turn(selector)
    assert heard == [links.Message(links.READY, 0, -1)]
    control.post(links.RETIRE, 1)
    near, far = socket.socketpair()
    with near, far:
        assert links.give_back(theirs, 1, far.fileno())
        theirs.close()
        control.close()
        assert heard[1][:2] == (links.CONNECTION, 1)
        with socket.socket(fileno=heard[1].fd) as passed:
            passed.sendall(b"x")
            assert near.recv(1) == b"x"
    assert not selector.get_map()


def test_a_full_socket_is_waited_for_to_give_back(ends):
    ours, theirs = ends
    filled = _fill(theirs)
    reading = threading.Timer(0.05, links.receive_all, [ours])
    reading.start()
    assert links.give_back(theirs, 0, 0)
    reading.join()
    assert filled > 10
    ours.close()
    assert not links.give_back(theirs, 0, 0)


def test_a_link_takes_many_bodies_at_once():
    ours, theirs = links.link_pair()
    with ours, theirs:
        assert ours.send(bytes(1 << 20)) == 1 << 20
        assert not ours.getblocking()
