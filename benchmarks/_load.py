"""A small load generator: signed requests over keep-alive connections, one process.

It is here to cost little beside the server on the same machine: one protocol object per
connection, no task per request, requests signed by the sigv4 kernel.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import cast

import uvloop

from fastobj._ext import sigv4

REGION = b"us-east-1"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest().encode()
UNSIGNED = b"UNSIGNED-PAYLOAD"
STREAMING = b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


class Signer:
    """Signs requests to one endpoint with one key."""

    def __init__(self, host: str, port: int, access_key: str, secret_key: str) -> None:
        self.host = f"{host}:{port}".encode()
        self._access_key = access_key.encode()
        self._secret_key = secret_key.encode()
        self._date = self._amz_date = self._scope = self._key = b""

    def request(
        self,
        method: bytes,
        path: bytes,
        body: bytes = b"",
        query: bytes = b"",
        *,
        signed: bool = True,
    ) -> bytes:
        """A whole request, head and body; `signed` hashes the body, else UNSIGNED-PAYLOAD."""
        payload = UNSIGNED
        if signed:
            payload = hashlib.sha256(body).hexdigest().encode() if body else EMPTY_SHA256
        return self._head(method, path, query, payload, len(body))[0] + body

    def streaming(self, path: bytes, body: bytes, chunk_bytes: int = 64 << 10) -> bytes:
        """A whole PUT whose body goes in signed chunks."""
        chunks = [body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes)] + [b""]
        frames = sum(len(b"%x;chunk-signature=\r\n\r\n" % len(chunk)) + 64 for chunk in chunks)
        coded = len(body) + frames
        decoded = (b"x-amz-decoded-content-length", b"%d" % len(body))
        head, signature = self._head(b"PUT", path, b"", STREAMING, coded, decoded)
        start = b"AWS4-HMAC-SHA256-PAYLOAD\n%s\n%s\n" % (self._amz_date, self._scope)
        parts = [head]
        for chunk in chunks:
            sums = (signature, EMPTY_SHA256, hashlib.sha256(chunk).hexdigest().encode())
            signature = hmac.new(self._key, start + b"\n".join(sums), "sha256").hexdigest().encode()
            parts += [b"%x;chunk-signature=%s\r\n" % (len(chunk), signature), chunk, b"\r\n"]
        return b"".join(parts)

    def _head(
        self,
        method: bytes,
        path: bytes,
        query: bytes,
        payload: bytes,
        length: int,
        *more: tuple[bytes, bytes],
    ) -> tuple[bytes, bytes]:
        """A head and its signature; `more` are signed headers, in the order of their names."""
        amz_date = self._amz_date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()).encode()
        if amz_date[:8] != self._date:
            self._date = amz_date[:8]
            self._key = sigv4.signing_key(self._secret_key, self._date, REGION, b"s3")
            self._scope = self._date + b"/" + REGION + b"/s3/aws4_request"
        headers = [
            (b"host", self.host),
            (b"x-amz-content-sha256", payload),
            (b"x-amz-date", amz_date),
            *more,
        ]
        names = b";".join(name for name, _ in headers)
        signature = sigv4.signature(
            method, path, query, headers, names, payload, amz_date, self._scope, self._key
        )
        lines = [b"%s %s HTTP/1.1" % (method, path + b"?" + query if query else path)]
        lines += [b"%s: %s" % header for header in headers]
        lines.append(
            b"Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s"
            % (self._access_key, self._scope, names, signature)
        )
        return b"\r\n".join([*lines, b"Content-Length: %d\r\n\r\n" % length]), signature


@dataclass
class Result:
    """What a run measured. Latencies are in seconds, sorted."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: int = 0
    last_error: bytes = b""

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """A latency that `share` of the requests stay below, in milliseconds."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))] * 1e3


class _Connection(asyncio.Protocol):
    """Sends one request after the other; needs Content-Length in every response."""

    def __init__(self, make: Callable[[], bytes | None], result: Result) -> None:
        self._make = make
        self._result = result
        self._buffer = b""
        self._left = 0
        self._status = b""
        self._began = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def _next(self) -> None:
        request = self._make()
        if request is None:
            self._transport.close()
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            at = head.find(b"content-length: ")
            length = int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._left = length - (len(self._buffer) - end - 4)
            self._status = self._buffer[9:12]
            if not self._status.startswith(b"2"):
                self._result.errors += 1
                self._result.last_error = self._buffer[:600]
            self._buffer = b""
        if self._left <= 0:
            self._left = 0
            self._result.latencies.append(time.perf_counter() - self._began)
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def run(
    host: str, port: int, concurrency: int, seconds: float, make: Callable[[int], bytes]
) -> Result:
    """Runs `make(number)` requests for `seconds` on that many connections."""
    return uvloop.run(_run(host, port, concurrency, seconds, make))


def run_at_least(
    host: str, port: int, concurrency: int, requests: int, make: Callable[[int], bytes]
) -> None:
    """Runs `make(number)` for the numbers from 0 on, until that many have succeeded.

    Raises SystemExit for one that fails.
    """
    done = 0
    while done < requests:
        first = done
        result = run(host, port, concurrency, 0.5, lambda number, first=first: make(first + number))
        if result.errors:
            raise SystemExit(f"{result.errors} errors, the last: {result.last_error!r}")
        done += len(result.latencies)


async def _run(
    host: str, port: int, concurrency: int, seconds: float, make: Callable[[int], bytes]
) -> Result:
    loop = asyncio.get_running_loop()
    numbers = count()
    result = Result()
    began = time.perf_counter()
    end = began + seconds

    def next_request() -> bytes | None:
        return make(next(numbers)) if time.perf_counter() < end else None

    connections = [
        (await loop.create_connection(lambda: _Connection(next_request, result), host, port))[1]
        for _ in range(concurrency)
    ]
    await asyncio.gather(*(connection.done for connection in connections))
    result.seconds = time.perf_counter() - began
    result.latencies.sort()
    return result
