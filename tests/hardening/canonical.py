"""Random requests as botocore signs them, and the forms in which they may come over the wire."""

from __future__ import annotations

import random
import unicodedata
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import percent_encode, percent_encode_sequence

from fastobj._ext import sigv4

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD")
PAYLOAD = "UNSIGNED-PAYLOAD"
UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
# Parts of keys, and of names and values in queries.
TEXTS = (
    *r"""/!"#$%&'()*+,-.:;<=>?@[\]^_`{|}~aZ0""",
    "//",
    "..",
    "./",
    "../",
    "%2F",
    "%2f",
    "%252F",
    "%41",
    "%zz",
    " ",
    "  ",
    "\t",
    "\n",
    "\x00",
    "\x7f",
    "é",
    unicodedata.normalize("NFD", "é"),
    unicodedata.normalize("NFD", "각"),
    "각",
    "€",
    "\U0001f600",
    "\u200d",
    "X-Amz-Date",
)
NAMES = ("uploads", "list-type", "prefix", "versionId", "partNumber", "X-Amz-Date", "a", "A", "a-")
HEADERS = ("Range", "X-Amz-Meta-A", "x-amz-meta-b", "Content-Type", "If-Match", "Content-MD5")
VALUES = ("a", "B", "0", "=", ",", ";", '"', "'", "*", "%20", "+", "/", " ", "  ", "   ", "\t", "")


class Wire(NamedTuple):
    """Path, query and headers as a server takes them off the wire."""

    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]


def text(rng: random.Random, parts: tuple[str, ...], most: int) -> str:
    """Some of the parts, one behind the other."""
    return "".join(rng.choices(parts, k=rng.randint(0, most)))


def request(rng: random.Random) -> AWSRequest:
    """A request before it is signed: its URL is encoded as botocore's serialisers do it."""
    path = percent_encode("/bucket/" + text(rng, TEXTS, 10), safe="/-._~")
    names = [*rng.choices(NAMES, k=3), text(rng, TEXTS, 3)]
    pairs = [
        (rng.choice(names), rng.choice(("", "", "2", text(rng, TEXTS, 6))))
        for _ in range(rng.randrange(6))
    ]
    query = percent_encode_sequence(pairs)
    made = AWSRequest(rng.choice(METHODS), f"http://localhost:9000{path}{query and '?'}{query}")
    for _ in range(rng.randrange(6)):
        made.headers.add_header(rng.choice(HEADERS), text(rng, VALUES, 8))
    made.headers["X-Amz-Content-SHA256"] = PAYLOAD
    made.headers["X-Amz-Date"] = "20261120T101112Z"
    return made


def as_sent(made: AWSRequest) -> Wire:
    """The request as botocore itself sends it."""
    url = urlsplit(made.url)
    headers = [(name.lower().encode(), str(value).encode()) for name, value in made.headers.items()]
    headers.append((b"host", url.netloc.encode()))
    return Wire(url.path.encode(), url.query.encode(), headers)


def written_otherwise(rng: random.Random, wire: Wire) -> Wire:
    """The same request as another client may write it: other escapes, order and blanks."""
    items = wire.query.split(b"&")
    rng.shuffle(items)
    items = [_escape_otherwise(rng, item, in_query=True) for item in items]
    items += rng.choice(([], [b""], [b"X-Amz-Signature=" + b"0" * 64]))
    headers = [(name, _pad(rng, value)) for name, value in wire.headers]
    path = _escape_otherwise(rng, wire.path, in_query=False)
    return Wire(path, b"&".join(items), headers)


def _escape_otherwise(rng: random.Random, encoded: bytes, *, in_query: bool) -> bytes:
    parts = []
    at = 0
    while at < len(encoded):
        width = 3 if encoded[at] == 0x25 else 1
        parts.append(_one_otherwise(rng, encoded[at : at + width], in_query=in_query))
        at += width
    return b"".join(parts)


def _one_otherwise(rng: random.Random, part: bytes, *, in_query: bool) -> bytes:
    """One byte or escape, or what stands for the same."""
    if rng.random() < 0.8:
        return part
    if len(part) == 1:
        can_be_escaped = part.decode() in UNRESERVED or (part == b"/" and not in_query)
        return b"%%%02x" % part[0] if can_be_escaped else part
    if in_query and part == b"%20":
        return b"+"
    byte = bytes([int(part[1:], 16)])
    if byte in b"!$'()*,:@;<>[]^`{|}\\\"" or byte >= b"\x80":
        return byte
    return part.lower()


def _pad(rng: random.Random, value: bytes) -> bytes:
    """More blanks where there are some, and at the ends."""
    grown = value.replace(b" ", rng.choice((b" ", b"  ", b" \t")))
    return rng.choice((b"", b" ", b"\t")) + grown + rng.choice((b"", b"  "))


def differences(seed: int, first: int, count: int) -> list[str]:
    """What the kernel makes otherwise than botocore, in that many cases from `first` on."""
    signer = S3SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), "s3", "us-east-1")
    rng = random.Random()
    found = []
    for number in range(first, first + count):
        rng.seed(f"{seed} canonical {number}")
        made = request(rng)
        expected = signer.canonical_request(made).encode()
        signed = signer.signed_headers(signer.headers_to_sign(made)).encode()
        sent = as_sent(made)
        for wire in (sent, written_otherwise(rng, sent)):
            ours = sigv4.canonical_request(made.method.encode(), *wire, signed, PAYLOAD.encode())
            if ours != expected:
                found.append(f"case {number}: {wire}: {ours!r}, not {expected!r}")
    return found
