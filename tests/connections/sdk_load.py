"""boto3 as programs use it, in several threads: what its retries cover, and what they do not.

Each thread has its own keys and remembers what was answered of them. Every attempt is counted
apart from its request, so that a failure behind which a retry succeeded is seen, too.
"""

import io
import random
import threading
import time
from collections import Counter

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

from fastobj.testing.process_server import ProcessServer

BUCKET = "load"
KEYS_EACH = 6
PART_BYTES = 5 << 20
WAIT_S_MAX = 60.0
_TRANSFER = TransferConfig(
    multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False
)
_DOWNLOADS_MAX = 5  # as boto3 itself begins anew with a body that broke off


def new_client(server: ProcessServer, **settings: object):
    """A boto3 client with the defaults of boto3, retries included."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
        verify=None if server.authorities is None else str(server.authorities),
        config=Config(signature_version="s3v4", **settings),
    )


class SdkLoad:
    """Threads that put, get, upload in parts and delete until the block ends.

    `failed` holds what failed in spite of retries, or was not what had been stored; `attempts`
    counts all attempts, `refused` those that failed, by what they failed with.
    """

    def __init__(
        self, server: ProcessServer, seed: str, threads: int = 4, **settings: object
    ) -> None:
        self._server = server
        self._settings = settings
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.operations = [0] * threads
        self.attempts = 0
        self.refused: Counter[str] = Counter()
        self.failed: list[BaseException] = []
        self.stored: list[dict[str, bytes]] = [{} for _ in range(threads)]
        self._threads = [
            threading.Thread(target=self._run, args=[number, random.Random(f"{seed} {number}")])
            for number in range(threads)
        ]

    def __enter__(self) -> "SdkLoad":
        new_client(self._server).create_bucket(Bucket=BUCKET)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the load."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, operations: int = 3) -> None:
        """Waits until each thread has done that many operations more, or one has failed."""
        wanted = [count + operations for count in self.operations]
        deadline = time.monotonic() + WAIT_S_MAX
        while not self.failed and not all(map(int.__ge__, self.operations, wanted)):
            assert time.monotonic() < deadline, "the load stands still"
            time.sleep(0.01)

    def forget(self) -> None:
        """Counts attempts and their failures anew."""
        with self._lock:
            self.attempts = 0
            self.refused.clear()

    def check(self) -> int:
        """Every object is what was answered last, and no other is there; returns how many."""
        s3 = new_client(self._server)
        expected = {key: body for kept in self.stored for key, body in kept.items()}
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        assert {one["Key"] for page in pages for one in page.get("Contents", [])} == set(expected)
        for key, body in expected.items():
            assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body, key
        return len(expected)

    def _run(self, number: int, rng: random.Random) -> None:
        s3 = new_client(self._server, **self._settings)
        s3.meta.events.register("needs-retry.s3", self._on_attempt)
        try:
            while not self._stop.is_set():
                self._operate(s3, number, rng)
                self.operations[number] += 1
        except BaseException as error:
            self.failed.append(error)

    def _operate(self, s3, number: int, rng: random.Random) -> None:
        key, kept = f"{number}-{rng.randrange(KEYS_EACH)}", self.stored[number]
        choice = rng.random()
        if choice < 0.4 and key in kept:
            assert self._download(s3, key) == kept[key], f"{key} is not what was stored"
        elif choice < 0.5:
            s3.delete_object(Bucket=BUCKET, Key=key)
            kept.pop(key, None)
        elif choice < 0.55:
            body = rng.randbytes(PART_BYTES + rng.randrange(100_000))
            s3.upload_fileobj(io.BytesIO(body), BUCKET, key, Config=_TRANSFER)
            kept[key] = body
        else:
            body = rng.randbytes(rng.choice((10, 5_000, 60_000, 200_000)))
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
            kept[key] = body

    def _download(self, s3, key: str) -> bytes:
        for left in reversed(range(_DOWNLOADS_MAX)):
            body = s3.get_object(Bucket=BUCKET, Key=key)["Body"]
            try:
                return body.read()
            except (HTTPClientError, IncompleteReadError) as error:
                self._refuse(error)
                if not left:
                    raise
        raise AssertionError

    def _on_attempt(self, response, caught_exception, **_: object) -> None:
        """Called by boto3 behind each attempt, before it decides whether to make another."""
        with self._lock:
            self.attempts += 1
        if caught_exception is not None:
            self._refuse(caught_exception)
        elif response is not None and response[0].status_code >= 500:
            error = response[1].get("Error", {})
            self._refuse(ClientError({"Error": error}, str(response[0].status_code)))

    def _refuse(self, error: Exception) -> None:
        with self._lock:
            self.refused[_words(error)] += 1


def _words(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"{error.operation_name} {error.response['Error'].get('Code')}"
    return type(error).__name__
