"""Requests of any bytes, signed in either place, and their answers, over plain sockets."""

import contextlib
import hashlib
import http.client
import itertools
import re
import select
import socket
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.s3.calls import REGION, Answer

UNSIGNED = "UNSIGNED-PAYLOAD"
AUTHS = ("header", "query")
STYLES = ("path", "vhost")
DOMAIN = "s3.test"
_HOST_NAME = re.compile("[a-z0-9-]+")


class Entry(NamedTuple):
    """A way in: where the signature stands, and where the bucket."""

    auth: str
    style: str


ENTRIES = tuple(itertools.starmap(Entry, itertools.product(AUTHS, STYLES)))


class Connection:
    """One connection to a port of this machine."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._file = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends it."""
        self._file.close()
        self.sock.close()

    def is_over(self):
        """Whether the server has ended it while it was idle."""
        return bool(select.select([self.sock], [], [], 0)[0])

    def send(self, data):
        """Sends bytes; a server that has refused already may take fewer."""
        with contextlib.suppress(ConnectionError):
            self.sock.sendall(data)

    def answer(self, method="GET"):
        """The next answer, past any 100 Continue; None where the connection ends instead."""
        try:
            line = self._file.readline()
            if not line:
                return None
            status = int(line.split()[1])
            headers = http.client.parse_headers(self._file)
            if status == 100:
                return self.answer(method)
            bodiless = method == "HEAD" or status in (204, 304)
            length = 0 if bodiless else int(headers.get("content-length", 0))
            return Answer(status, headers, self._file.read(length))
        except ConnectionError:
            return None

    def rest(self):
        """All that still comes until the connection ends; nothing for a reset."""
        with contextlib.suppress(ConnectionError):
            return self._file.read()
        return b""


class Caller:
    """Sends signed requests to a server by one entry. Keys and queries go out as they are given."""

    def __init__(self, server, entry=ENTRIES[0], *, port=None):
        self.port = port or server.port
        self.entry = entry
        self._keys = Credentials(server.access_key, server.secret_key)
        self._connection = None

    def close(self):
        """Ends the connection that is kept."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def place(self, bucket, key):
        """Host and path of a bucket's key, of the bucket itself, or of the service.

        What cannot stand in a host name stands in the path.
        """
        if self.entry.style == "vhost" and _HOST_NAME.fullmatch(bucket):
            return f"{bucket}.{DOMAIN}:{self.port}", f"/{key}"
        return f"127.0.0.1:{self.port}", f"/{bucket}/{key}" if key else f"/{bucket}"

    def head(
        self,
        method,
        bucket="",
        key="",
        *,
        query="",
        headers=None,
        payload=UNSIGNED,
        lines=b"",
        secret=None,
    ):
        """The bytes of a signed head; `lines` are further ones, unsigned, as they are given."""
        host, path = self.place(bucket, key)
        request = AWSRequest(method, f"http://{host}{canonical(path, query)}", headers or {})
        keys = Credentials(self._keys.access_key, secret) if secret else self._keys
        signer = _SIGNERS[self.entry.auth](keys, "s3", REGION)
        signer.hash = payload
        signer.add_auth(request)
        if self.entry.auth == "query":
            pairs = urlsplit(request.url).query.split("&")
            query = "&".join([*filter(None, [query]), *(x for x in pairs if x[:6] == "X-Amz-")])
        target = f"{path}?{query}" if query else path
        texts = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        texts += [f"{name}: {text}" for name, text in request.headers.items()]
        return "\r\n".join(texts).encode() + b"\r\n" + lines + b"\r\n"

    def request(self, method, bucket="", key="", *, body=b"", payload=None, **more):
        """The bytes of a whole request."""
        payload = payload or hashlib.sha256(body).hexdigest()
        lines = more.pop("lines", b"") + b"Content-Length: %d\r\n" % len(body)
        return self.head(method, bucket, key, payload=payload, lines=lines, **more) + body

    def __call__(self, method, bucket="", key="", **more):
        """The answer to one request, on a connection that is kept."""
        return self.exchange(self.request(method, bucket, key, **more), method)

    def exchange(self, data, method="GET"):
        """The answer to the bytes of a request, on a connection that is kept."""
        if self._connection is not None and self._connection.is_over():
            self.close()
        if self._connection is None:
            self._connection = Connection(self.port)
        self._connection.send(data)
        answer = self._connection.answer(method)
        if answer is None or answer.headers.get("connection") == "close":
            self.close()
        return answer


def canonical(path, query=""):
    """What clients sign, whatever they write: each part decoded once and encoded anew."""
    pairs = [
        "=".join(quote(unquote_to_bytes(half.replace("+", " ")), safe="") for half in pair)
        for pair in (pair.split("=", 1) for pair in query.split("&") if pair)
    ]
    return quote(unquote_to_bytes(path), safe="/") + ("?" + "&".join(pairs) if pairs else "")


class _HeaderAuth(S3SigV4Auth):
    """Signs what it is told to in place of the body's hash."""

    hash = UNSIGNED

    def payload(self, request):
        return self.hash


class _QueryAuth(S3SigV4QueryAuth):
    """Never signs the body."""

    hash = UNSIGNED


_SIGNERS = {"header": _HeaderAuth, "query": _QueryAuth}
