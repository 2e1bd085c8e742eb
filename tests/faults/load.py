"""Writers, readers and deleters that note every answer, and what was acknowledged."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from urllib.parse import quote
from xml.sax.saxutils import escape

from tests.crash.client import Answer, Client

BUCKET = "full"
WRITERS = 4
REFUSALS = 8  # in a row, of each writer: then the store counts as full
KEYS_MAX = 1000
PAUSE_S = 0.1
WAIT_S = 60.0
_POOL = random.Random(7).randbytes(9 << 20)
_REFUSED = 507


class Sender(Client):
    """A client that returns every answer, whatever its status."""

    def send(
        self, method: str, path: str, body: bytes = b"", query: dict[str, str] | None = None
    ) -> Answer:
        """One signed request; an answer may come before the body is sent."""
        pairs = (query or {}).items()
        encoded = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs)
        signed = self._signed(method, quote(path), encoded, {}, body)
        self._connect()
        connection = self._connection
        target = quote(path) + (f"?{encoded}" if encoded else "")
        try:
            connection.request(method, target, body or None, signed)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it was answered early: the answer is there to be read
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, headers, response.read())
        if answer.headers.get("connection", "").lower() == "close":
            connection.close()
        return answer


def body_of(key: str, size: int) -> bytes:
    """The body that belongs under a key."""
    offset = random.Random(key).randrange(1 << 16)
    name = key.encode()[:size]
    return name + _POOL[offset : offset + size - len(name)]


class Load:
    """What several clients do to one server. `stored` is what was acknowledged: key -> size."""

    def __init__(self, port: int, sizes: Callable[[random.Random], int], seed: object) -> None:
        self.stored: dict[str, int] = {}
        self.answers: Counter[tuple[str, int]] = Counter()
        self.refusals: set[bytes] = set()
        self._sizes = sizes
        self._seed = seed
        self._lock = Lock()
        self._numbers = iter(range(1 << 40))
        self._clients: list[Sender] = []
        self.connect(port)

    def connect(self, port: int) -> None:
        """Clients for a server; those for another are gone."""
        self.close()
        self._clients = [Sender(port) for _ in range(WRITERS)]

    def close(self) -> None:
        """Closes all connections."""
        for client in self._clients:
            client.close()

    def _send(self, client: Sender, method: str, path: str, *rest: object) -> Answer:
        answer = client.send(method, path, *rest)  # type: ignore[arg-type]
        with self._lock:
            self.answers[method, answer.status] += 1
            if answer.status == _REFUSED:
                self.refusals.update(re.findall(rb"<Code>(.*?)</Code>", answer.body))
        return answer

    def create_bucket(self) -> None:
        """Makes the bucket that all objects are in."""
        assert self._send(self._clients[0], "PUT", f"/{BUCKET}").status == 200

    def _in_parallel(self, work: Callable[[Sender, int], None]) -> None:
        with ThreadPoolExecutor(WRITERS) as threads:
            for done in [threads.submit(work, c, n) for n, c in enumerate(self._clients)]:
                done.result()

    def put(self, client: Sender, key: str, size: int) -> int:
        """One put; the status. What was acknowledged is noted."""
        status = self._send(client, "PUT", f"/{BUCKET}/{key}", body_of(key, size)).status
        if status == 200:
            with self._lock:
                self.stored[key] = size
        return status

    def fill(self) -> None:
        """All writers put until each is refused again and again."""

        def write(client: Sender, number: int) -> None:
            rng = random.Random(f"{self._seed} {number} {len(self.stored)}")
            refused = 0
            while refused < REFUSALS:  # what was deleted may still be on its way back
                with self._lock:
                    key = f"{next(self._numbers):06}-{number}"
                status = self.put(client, key, self._sizes(rng))
                refused = refused + 1 if status == _REFUSED else 0
                if refused:
                    time.sleep(PAUSE_S)

        self._in_parallel(write)

    def fill_again(self, wanted: int) -> None:
        """Fills until so many bytes are stored: what is dead comes back. Fails after WAIT_S."""
        deadline = time.monotonic() + WAIT_S
        while sum(self.stored.values()) < wanted:
            held = sum(self.stored.values())
            assert time.monotonic() < deadline, f"only {held} of {wanted} bytes fit again"
            self.fill()

    def put_until_stored(self, size: int) -> None:
        """Puts one object, again and again until it is taken. Fails after WAIT_S."""
        key = f"again-{next(self._numbers)}"
        deadline = time.monotonic() + WAIT_S
        while self.put(self._clients[0], key, size) != 200:
            assert time.monotonic() < deadline, f"{size} bytes are still refused"
            time.sleep(PAUSE_S)

    def check(self, step: int = 1) -> None:
        """What was acknowledged is there, by every way to read it, and nothing else.

        All is listed; of the bodies each `step`-th is read.
        """
        keys = sorted(self.stored)

        def read(client: Sender, number: int) -> None:
            for key in keys[::step][number::WRITERS]:
                answer = self._send(client, "GET", f"/{BUCKET}/{key}")
                assert answer.status == 200, (key, answer)
                assert answer.body == body_of(key, self.stored[key]), f"{key} was altered"

        self._in_parallel(read)
        client = self._clients[0]
        for key in keys[::50]:
            answer = self._send(client, "HEAD", f"/{BUCKET}/{key}")
            assert (answer.status, int(answer.headers["content-length"])) == (200, self.stored[key])
        assert BUCKET.encode() in self._send(client, "GET", "/").body
        assert self.listed() == keys

    def listed(self) -> list[str]:
        """All keys of the bucket, page by page."""
        found: list[str] = []
        while True:
            query = {"list-type": "2", "start-after": found[-1] if found else ""}
            answer = self._send(self._clients[0], "GET", f"/{BUCKET}", b"", query)
            assert answer.status == 200
            page = [key.decode() for key in re.findall(rb"<Key>(.*?)</Key>", answer.body)]
            found += page
            if b"<IsTruncated>true" not in answer.body:
                return found

    def empty(self, keys: Sequence[str]) -> None:
        """Puts an empty body over each key; each must be taken."""
        for key in keys:
            assert self.put(self._clients[0], key, 0) == 200

    def delete(self, keys: Iterable[str]) -> None:
        """One DELETE for each key, several at once; each must be answered 204."""
        wanted = list(keys)

        def remove(client: Sender, number: int) -> None:
            for key in wanted[number::WRITERS]:
                answer = self._send(client, "DELETE", f"/{BUCKET}/{key}")
                assert answer.status == 204, (key, answer)
                with self._lock:
                    del self.stored[key]

        self._in_parallel(remove)

    def delete_many(self, keys: Iterable[str]) -> None:
        """DeleteObjects, as many keys at once as it takes; each must be deleted."""
        wanted = list(keys)
        for at in range(0, len(wanted), KEYS_MAX):
            group = wanted[at : at + KEYS_MAX]
            named = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in group)
            body = f"<Delete>{named}</Delete>".encode()
            answer = self._send(self._clients[0], "POST", f"/{BUCKET}", body, {"delete": ""})
            assert answer.status == 200, answer
            assert b"<Error>" not in answer.body, answer.body[:600]
            assert answer.body.count(b"<Deleted>") == len(group)
            for key in group:
                del self.stored[key]

    def check_answers(self) -> None:
        """Nothing was ever answered but success, and 507 to puts."""
        odd = {
            at: count
            for at, count in self.answers.items()
            if at[1] not in (200, 204) and at != ("PUT", _REFUSED)
        }
        assert not odd, odd
        assert self.refusals <= {b"InsufficientStorage"}
        assert self.answers["PUT", _REFUSED]
