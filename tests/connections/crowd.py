"""Many connections to one port, in a process of its own: it has descriptors of its own.

    python crowd.py PORT COUNT SOURCE FIRST_BYTES

Opens COUNT connections from the address SOURCE, sends FIRST_BYTES on each, and says `open`. Then it
obeys words on its standard input, and answers each with a number: `answered STATUS ...` waits until
the server has ended all of them and counts those with an answer of one of these statuses, `open`
counts those that the server has not ended, `close` closes all.
"""

import selectors
import socket
import sys

IP_BIND_ADDRESS_NO_PORT = 24  # of linux/in.h; Python 3.11 does not name it
TRIES_MAX = 20


def _connect(source: str, port: int) -> socket.socket:
    for _ in range(TRIES_MAX):
        sock = socket.socket()
        # Else a port is taken for the source alone, and those of closed connections are not free.
        sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
        sock.settimeout(30)
        try:
            sock.connect(("127.0.0.1", port))
        except (TimeoutError, ConnectionError):
            sock.close()
        else:
            return sock
    raise TimeoutError(f"port {port} takes no connection from {source}")


def _is_open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        while sock.recv(4096):
            continue  # an answer, as with a refusal
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
    return False


def _answers(socks: list[socket.socket]) -> list[bytes]:
    """What comes on each until the server ends it."""
    selector, received = selectors.DefaultSelector(), dict.fromkeys(socks, b"")
    for sock in socks:
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    while selector.get_map():
        for key, _ in selector.select():
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                piece = sock.recv(4096)
            except ConnectionError:
                piece = b""
            received[sock] += piece
            if not piece:
                selector.unregister(sock)
    return list(received.values())


def main() -> None:
    """Opens, and obeys."""
    port, count, source, first = sys.argv[1:]
    socks = [_connect(source, int(port)) for _ in range(int(count))]
    for sock in socks:
        sock.sendall(first.encode())
    _say("open")
    for line in sys.stdin:
        word, *statuses = line.split()
        if word == "answered":
            starts = tuple(f"HTTP/1.1 {status} ".encode() for status in statuses)
            _say(sum(answer.startswith(starts) for answer in _answers(socks)))
        elif word == "open":
            _say(sum(map(_is_open, socks)))
        else:
            for sock in socks:
                sock.close()
            _say(len(socks))


def _say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
