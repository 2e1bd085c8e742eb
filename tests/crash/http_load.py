"""Clients of a server, each in a thread: they change it, and tell a history what they do."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from fastobj.core.limits import KIB, MIB
from tests.crash.client import Away, Broken, Client, Refused
from tests.crash.oracle import (
    BUCKET,
    OPERATION,
    PARTS,
    Effect,
    History,
    Operation,
    Place,
    copy_of,
    metadata_of_copy,
    part_copy_of,
    value_of,
)
from tests.crash.world import KEPT, MAIN, OWN_FILE_BYTES_MIN, SMALL_BYTES_MAX, number

KEYS = tuple(f"k/{index:02}".encode() for index in range(30))
_PAUSE_S = 0.02  # behind a broken request: the server is on its way back


class HttpLoad:
    """A load of several clients on the server at `port`; its choices follow from `seed`.

    A request without an answer stays in flight in the history for ever.
    """

    def __init__(self, port: int, history: History, seed: str, clients: int = 6) -> None:
        self._port = port
        self._history = history
        self._seed = seed
        self._clients = clients
        self._lock = threading.Lock()
        self._left = 0
        self._count = 0
        self._versions: dict[Place, str] = {}  # those that were put and are not deleted: ids
        self.stopping = threading.Event()
        self.answered = 0
        self.broken = 0

    def run(self, operations: int) -> None:
        """Runs that many operations, or fewer where `stopping` is set. Raises what a client did."""
        self._left = operations
        with ThreadPoolExecutor(self._clients) as threads:
            parts = [threads.submit(self._client, index) for index in range(self._clients)]
        for part in parts:
            part.result()

    def _client(self, index: int) -> None:
        rng = random.Random(f"{self._seed} client {index}")
        client = Client(self._port)
        try:
            self._change(client, Place(MAIN), BUCKET)
            self._keep_versions(client)
            while self._takes_one():
                self._one(client, rng, f"temporary-{index}")
        finally:
            client.close()

    def _keep_versions(self, client: Client) -> None:
        """Makes the bucket that keeps versions; nothing is put there before it does."""
        while not self.stopping.is_set():
            self._change(client, Place(KEPT), BUCKET)
            try:
                return client.keep_versions(KEPT)
            except (Broken, Refused):
                time.sleep(_PAUSE_S)

    def _takes_one(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0 and not self.stopping.is_set()

    def _one(self, client: Client, rng: random.Random, temporary: str) -> None:
        choice = rng.random()
        if choice < 0.05:
            self._visit_bucket(client, rng, temporary)
        elif choice < 0.07:
            for key in KEYS:
                self._change(client, Place(MAIN, key), None)
        elif choice < 0.2:
            self._change(client, Place(MAIN, rng.choice(KEYS)), None)
        elif choice < 0.22:
            self._look(client)
        elif choice < 0.4:
            self._copy(client, rng, Place(MAIN, rng.choice(KEYS)), Place(MAIN, rng.choice(KEYS)))
        elif choice < 0.5:
            self._change_version(client, rng, rng.choice(KEYS[:3]))
        else:
            self._put(client, rng, Place(MAIN, rng.choice(KEYS)))

    def _look(self, client: Client) -> None:
        """A listing under load: it may fail or show anything recent, but it must be in order."""
        try:
            keys = list(client.listing(MAIN))
        except (Broken, Refused):
            return
        assert keys == sorted(keys)

    def _visit_bucket(self, client: Client, rng: random.Random, name: str) -> None:
        """Makes a bucket, fills it, and mostly empties and deletes it again."""
        self._change(client, Place(name), BUCKET)
        place = Place(name, b"only")
        self._put(client, rng, place)
        if rng.random() < 0.7:
            self._change(client, place, None)
            self._change(client, Place(name), None)

    def _copy(self, client: Client, rng: random.Random, source: Place, place: Place) -> None:
        """Copies one of the objects that may be there, or its bytes into a part of an upload.

        Refused where it is another by then.
        """
        with self._lock:
            values = self._history.copyable(source)
        if not values:
            return
        value = rng.choice(values)
        headers = {"content-type": "text/plain"}
        if rng.random() < 0.3:
            metadata = {**self._metadata(), PARTS: "1"}
            effect, copy = part_copy_of(value, metadata, headers), client.copy_part
        else:
            metadata = metadata_of_copy(value, self._metadata())
            effect, copy = copy_of(value, metadata, headers), client.copy
        operation = self._invoke(place, effect)
        self._send(operation, lambda: copy(source, value.etag, place, metadata, "text/plain"))

    def _change_version(self, client: Client, rng: random.Random, key: bytes) -> None:
        """Puts a version, ends one for good, or has a delete marker hide those that there are."""
        choice = rng.random()
        if choice < 0.6:
            self._put(client, rng, Place(KEPT, key))
        elif choice < 0.7:
            try:
                client.delete(Place(KEPT, key))
            except (Broken, Refused):
                time.sleep(_PAUSE_S)
        else:
            with self._lock:
                if not self._versions:
                    return
                place = rng.choice(list(self._versions))
                version = self._versions.pop(place)
            operation = self._invoke(place, None)
            self._send(operation, lambda: client.delete(place, version))

    def _metadata(self) -> dict[str, str]:
        with self._lock:
            self._count += 1
            return {OPERATION: f"{self._seed} {self._count}"}

    def _put(self, client: Client, rng: random.Random, place: Place) -> None:
        metadata = self._metadata()
        if rng.random() < 0.15:
            metadata[PARTS] = "1"
        body = make_body(rng)
        value = value_of(body, metadata, {"content-type": "text/plain"})
        if place.bucket != KEPT:
            operation = self._invoke(place, value)
            self._send(operation, lambda: client.put(place, body, metadata, "text/plain"))
            return
        version = place._replace(version=metadata[OPERATION])
        operation = self._invoke(version, value)
        self._send(operation, lambda: self._put_version(client, version, body, metadata))

    def _put_version(
        self, client: Client, place: Place, body: bytes, metadata: dict[str, str]
    ) -> None:
        version = client.put(place, body, metadata, "text/plain")
        with self._lock:
            self._versions[place] = version

    def _change(self, client: Client, place: Place, effect: Effect) -> None:
        """Makes or deletes a bucket, or deletes an object."""
        operation = self._invoke(place, effect)
        if place.key:
            self._send(operation, lambda: client.delete(place))
        elif effect is None:
            self._send(operation, lambda: client.delete_bucket(place.bucket))
        else:
            self._send(operation, lambda: client.create_bucket(place.bucket))

    def _invoke(self, place: Place, effect: Effect) -> Operation:
        with self._lock:
            return self._history.invoke(place, effect, number())

    def _send(self, operation: Operation, request: Callable[[], None]) -> None:
        try:
            request()
        except Refused as error:
            with self._lock:
                self._history.refuse(operation)
            if isinstance(error, Away):
                time.sleep(_PAUSE_S)
        except Broken:
            self.broken += 1
            time.sleep(_PAUSE_S)
        else:
            with self._lock:
                operation.acked = number()
            self.answered += 1


def make_body(rng: random.Random) -> bytes:
    """Mostly small, sometimes large enough for an extent, seldom for a file of its own."""
    choice = rng.random()
    if choice < 0.03:
        return b""
    if choice < 0.85:
        return rng.randbytes(rng.randint(1, SMALL_BYTES_MAX))
    if choice < 0.98:
        return rng.randbytes(rng.randint(SMALL_BYTES_MAX + 1, 40 * KIB))
    if choice < 0.995:
        return rng.randbytes(OWN_FILE_BYTES_MIN + rng.randint(0, 9 * KIB))
    return rng.randbytes(MIB + rng.randint(1, 9 * KIB))
