"""Uploads in aws-chunked coding, made by the slow reference and bent on purpose."""

import hashlib
import hmac
import itertools
import re
from base64 import b64encode
from zlib import crc32

from tests.hardening.raw import UNSIGNED, Connection
from tests.reference.chunked import Chain, Mode, encode
from tests.s3.calls import REGION

NAMES = {
    Mode.SIGNED: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    Mode.SIGNED_TRAILER: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    Mode.UNSIGNED_TRAILER: "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
}
WITH_TRAILER = (Mode.SIGNED_TRAILER, Mode.UNSIGNED_TRAILER)
PAYLOADS = (UNSIGNED, "0" * 64, *NAMES.values())


def crc(body):
    """The trailer with the body's CRC32."""
    return (b"x-amz-checksum-crc32", b64encode(crc32(body).to_bytes(4, "big")))


def signing_key(secret, date):
    """The key of a day."""
    key = b"AWS4" + secret.encode()
    for part in (date, REGION.encode(), b"s3", b"aws4_request"):
        key = hmac.new(key, part, hashlib.sha256).digest()
    return key


class Uploader:
    """Uploads one body by one way in."""

    def __init__(self, caller, secret):
        self._caller = caller
        self._secret = secret

    def chain(self, head):
        """What the chunks behind a signed head are signed with."""
        signature = re.search(rb"Signature=([0-9a-f]{64})", head)[1]
        date = re.search(rb"[0-9]{8}T[0-9]{6}Z", head)[0]
        scope = f"{date[:8].decode()}/{REGION}/s3/aws4_request".encode()
        return Chain(signing_key(self._secret, date[:8]), date, scope, signature)

    def __call__(
        self,
        bucket,
        key,
        body,
        mode,
        *,
        chunks=None,
        trailers=None,
        announced=None,
        decoded=None,
        coding="length",
        edges=(),
        bend=None,
        headers=None,
        secret=None,
        query="",
    ):
        """The answer. `chunks` are the chunks of the body, `edges` those of HTTP's own chunks.

        `bend` changes the coded body, `decoded` the length that is declared, `announced` what
        x-amz-trailer says.
        """
        if trailers is None:
            trailers = [crc(body)] if mode in WITH_TRAILER else []
        wanted = {"Content-Encoding": "aws-chunked", **(headers or {})}
        wanted["x-amz-decoded-content-length"] = str(len(body)) if decoded is None else decoded
        if announced is None:
            announced = ",".join(name.decode() for name, _ in trailers)
        if announced:
            wanted["x-amz-trailer"] = announced
        wanted = {name: text for name, text in wanted.items() if text != ""}
        head = self._caller.head(
            "PUT", bucket, key, headers=wanted, payload=NAMES[mode], secret=secret, query=query
        )
        coded = encode(mode, self.chain(head), chunks or ([body] if body else []), trailers)
        coded = bend(coded) if bend else coded
        return self._send(head, coded, coding, edges)

    def _send(self, head, coded, coding, edges):
        if coding == "length":
            lines, sent = b"Content-Length: %d\r\n" % len(coded), coded
        else:
            cuts = [0, *edges, len(coded)]
            pieces = [coded[start:stop] for start, stop in itertools.pairwise(cuts)]
            lines = b"Transfer-Encoding: chunked\r\n"
            sent = b"".join(b"%x\r\n%b\r\n" % (len(x), x) for x in pieces if x) + b"0\r\n\r\n"
        with Connection(self._caller.port) as connection:
            connection.send(head[:-2] + lines + b"\r\n" + sent)
            return connection.answer("PUT")
