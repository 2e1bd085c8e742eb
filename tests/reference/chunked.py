"""aws-chunked bodies of S3, encoded and decoded with the standard library.

The rules are those of the S3 API reference, "Transferring Payload in Multiple Chunks" and
"Including Trailing Headers". Where clients and documents differ, the comment says what fastobj
does.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import IntEnum

CHUNK_BYTES_MAX = 5 << 30
DIGITS_MAX = 16
HEAD_BYTES_MAX = DIGITS_MAX + len(";chunk-signature=") + 64 + 2
TRAILER_BYTES_MAX = 16 << 10

Trailers = list[tuple[bytes, bytes]]


class Mode(IntEnum):
    """The streaming values of x-amz-content-sha256."""

    SIGNED = 0
    SIGNED_TRAILER = 1
    UNSIGNED_TRAILER = 2


class Code(IntEnum):
    """What is wrong with a body."""

    SIZE = 1
    FRAMING = 2
    SIGNATURE = 3
    LENGTH = 4
    TRAILER = 5
    AFTER_END = 6


class Malformed(Exception):
    """The body is wrong."""

    def __init__(self, code: Code) -> None:
        super().__init__(code)
        self.code = code


class Short(Exception):
    """The body ends where it must not."""


@dataclass
class Chain:
    """The signatures of one body, each of which covers the one before."""

    key: bytes
    date: bytes
    scope: bytes
    previous: bytes

    def chunk(self, payload: bytes) -> bytes:
        """The signature of the next chunk."""
        return self._sign(b"AWS4-HMAC-SHA256-PAYLOAD", _sha256(b""), _sha256(payload))

    def trailers(self, canonical: bytes) -> bytes:
        """The signature of the trailers, one `name:value` and line feed each."""
        return self._sign(b"AWS4-HMAC-SHA256-TRAILER", _sha256(canonical))

    def _sign(self, algorithm: bytes, *hashes: bytes) -> bytes:
        text = b"\n".join((algorithm, self.date, self.scope, self.previous, *hashes))
        self.previous = hmac.new(self.key, text, hashlib.sha256).hexdigest().encode()
        return self.previous


def _sha256(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


# --- encoding


def encode_chunk(mode: Mode, chain: Chain | None, payload: bytes) -> bytes:
    """One chunk; the last one, which is empty, without its CRLF."""
    head = b"%x" % len(payload)
    if mode != Mode.UNSIGNED_TRAILER:
        assert chain is not None
        head += b";chunk-signature=" + chain.chunk(payload)
    return head + b"\r\n" + (payload + b"\r\n" if payload else b"")


def encode_trailers(mode: Mode, chain: Chain | None, trailers: Trailers) -> bytes:
    """The trailers with their signature, up to the empty line."""
    text = b"".join(name + b":" + value + b"\r\n" for name, value in trailers)
    if mode == Mode.SIGNED_TRAILER:
        assert chain is not None
        signature = chain.trailers(text.replace(b"\r\n", b"\n"))
        text += b"x-amz-trailer-signature:" + signature + b"\r\n"
    return text


def encode(
    mode: Mode, chain: Chain | None, chunks: list[bytes], trailers: Trailers | None = None
) -> bytes:
    """A body as the documents have it."""
    parts = [encode_chunk(mode, chain, payload) for payload in [*chunks, b""]]
    if mode != Mode.SIGNED:
        parts.append(encode_trailers(mode, chain, trailers or []))
    return b"".join([*parts, b"\r\n"])


# --- decoding


@dataclass
class Decoded:
    """What a body gives, and whether it may end where it does."""

    payload: bytes = b""
    trailers: Trailers = field(default_factory=list)
    complete: bool = False


class Decoder:
    """Reads one whole body, or the start of one."""

    def __init__(self, mode: Mode, decoded_length: int, chain: Chain | None, body: bytes) -> None:
        self._mode = mode
        self._left = decoded_length
        self._chain = None if mode == Mode.UNSIGNED_TRAILER else chain
        self._body = body
        self._at = 0
        self.payload = b""
        self.trailers: Trailers = []

    def decode(self) -> Decoded:
        """All of it; raises Malformed."""
        try:
            while self._chunk():
                pass
            if self._mode == Mode.SIGNED:
                self._closing()
            else:
                self._trailer_lines()
        except Short:
            return Decoded(self.payload)
        if self._at < len(self._body):
            raise Malformed(Code.AFTER_END)
        return Decoded(self.payload, self.trailers, True)

    def _take(self, length: int) -> bytes:
        taken = self._body[self._at : self._at + length]
        self._at += len(taken)
        return taken

    def _is_over(self) -> bool:
        return self._at == len(self._body)

    def _line(self, length_max: int) -> bytes:
        """A line with its end, or as much of one as is too long."""
        end = self._body.find(b"\n", self._at, self._at + length_max) + 1
        if self._is_over() or (not end and len(self._body) - self._at < length_max):
            raise Short
        return self._take(end - self._at if end else length_max)

    def _crlf(self, code: Code) -> None:
        found = self._take(2)
        if not b"\r\n".startswith(found):
            raise Malformed(code)
        if len(found) < 2:
            raise Short

    def _chunk(self) -> bool:
        """Reads one chunk; whether more may follow."""
        size, signature = parse_head(self._line(HEAD_BYTES_MAX), self._chain is not None)
        # What is left must be sent, and not more of it; a chunk too large is refused unread.
        if size > self._left or (size == 0 and self._left):
            raise Malformed(Code.LENGTH)
        self._left -= size
        payload = self._take(size)
        self.payload += payload
        if len(payload) < size:
            raise Short
        if self._chain is not None and self._chain.chunk(payload) != signature:
            raise Malformed(Code.SIGNATURE)
        if size:
            self._crlf(Code.FRAMING)
        return size > 0

    def _closing(self) -> None:
        # The asynchronous encoder of aws-sdk-java-v2 has ended behind the head of the last chunk.
        if not self._is_over():
            self._crlf(Code.AFTER_END)

    def _trailer_lines(self) -> None:
        canonical, is_vouched = b"", self._mode != Mode.SIGNED_TRAILER
        is_signature_seen = is_lf_pending = is_list_over = False
        # aws-sdk-js-v3 and aws-sdk-java-v2 have left out the last CRLF.
        while not (self._is_over() and is_vouched and not is_lf_pending):
            line = self._line(TRAILER_BYTES_MAX - len(canonical))
            if line == b"\r\n":
                # minio-go ends each trailer by LF, and then their list by CRLF.
                if is_lf_pending:
                    is_lf_pending, is_list_over = False, True
                    continue
                if not is_vouched:
                    raise Malformed(Code.TRAILER)
                return
            name, value = parse_trailer(line)
            is_lf = not line.endswith(b"\r\n")
            if is_signature_seen:
                raise Malformed(Code.TRAILER)
            if name == b"x-amz-trailer-signature":
                if is_lf or is_lf_pending or len(value) != 64 or is_vouched:
                    raise Malformed(Code.TRAILER)
                assert self._chain is not None
                if self._chain.trailers(canonical) != value:
                    raise Malformed(Code.SIGNATURE)
                is_vouched = is_signature_seen = True
                continue
            if is_list_over:
                raise Malformed(Code.TRAILER)
            is_lf_pending |= is_lf
            canonical += name + b":" + value + b"\n"
            self.trailers.append((name, value))


def parse_head(line: bytes, is_signed: bool) -> tuple[int, bytes]:
    """Size and signature; raises Malformed."""
    digits = line[: len(line) - len(line.lstrip(b"0123456789abcdefABCDEF"))]
    if not 0 < len(digits) <= DIGITS_MAX or int(digits, 16) > CHUNK_BYTES_MAX:
        raise Malformed(Code.SIZE)
    rest = line[len(digits) :]
    if rest[:1] not in (b";", b"\r"):
        raise Malformed(Code.SIZE)
    found = re.fullmatch(rb";chunk-signature=(.{64})\r\n" if is_signed else rb"()\r\n", rest, re.S)
    if not found:
        raise Malformed(Code.FRAMING)
    return int(digits, 16), found[1]


def parse_trailer(line: bytes) -> tuple[bytes, bytes]:
    """Name in lower case and value without blanks around it; raises Malformed."""
    token = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
    found = re.fullmatch(rb"(%b):([\t -~]*)\r?\n" % token, line)
    if not found:
        raise Malformed(Code.TRAILER)
    return found[1].lower(), found[2].strip(b" \t")


def decode(mode: Mode, decoded_length: int, chain: Chain | None, body: bytes) -> Decoded:
    """What the body gives; raises Malformed."""
    return Decoder(mode, decoded_length, chain, body).decode()
