"""Forms that upload a file (multipart/form-data): fields up to the file, then the file as it comes.

The fields are read at once, within limits.FORM_BYTES_MAX. The file is a body whose end only its
delimiter tells, so it has a most: what is left of the request without the shortest end of a form.
It goes through in the reader's own buffers. What follows the file is never looked at, as in S3.

Whatever has two readings is refused: a delimiter with something behind it, a field that stands
twice, a field that would not be one header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import FORM_BYTES_MAX
from fastobj.http.message import BodyReader, BodyTooLarge, Request
from fastobj.s3.names import checked_key

FILE: Final = "file"
_FILENAME: Final = "${filename}"
_KIND: Final = b"multipart/form-data"
_CRLF: Final = b"\r\n"
_END: Final = b"--"  # behind the last delimiter
# What has matched is never given back, so that no value costs more than its length.
_PARAMETER: Final = re.compile(
    rb';[ \t]*+([^\s=;"]++)[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|([^;"\s]*+))[ \t]*+', re.DOTALL
)
_ESCAPED: Final = re.compile(rb'\\(["\\])')
_BOUNDARY: Final = re.compile(rb"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_UNCODED: Final = frozenset({b"7bit", b"8bit", b"binary"})
_NOT_A_FORM: Final = "Bucket POST must be of the enclosure-type multipart/form-data"


class FileBody:
    """The file of a form, as the body of a request: it ends at the delimiter.

    `ahead` is what has been read of it; `length` is the most bytes that it may have, and once its
    last byte has been read, those that it has: then it `is_over`. One of fewer than `size_min` or
    of more than `size_max` bytes is never read to its end.
    """

    __slots__ = (
        "_ahead",
        "_delimiter",
        "_look",
        "_source",
        "_taken",
        "is_over",
        "length",
        "size_max",
        "size_min",
    )

    def __init__(self, source: BodyReader, ahead: bytes, delimiter: bytes, length: int) -> None:
        self.length = length
        self.size_min, self.size_max = 0, length
        self.is_over = False
        self._source = source
        self._ahead = ahead
        self._delimiter = delimiter
        self._look = len(delimiter) + len(_END)
        self._taken = 0

    def bound(self, size_min: int, size_max: int) -> None:
        """Bounds the size in bytes. Raises what a file does that cannot be within."""
        self.size_min, self.size_max = size_min, size_max
        self._check_size(self.length - FORM_BYTES_MAX, self.length)

    @property
    def received(self) -> int:
        """Bytes that have arrived, those of the fields among them."""
        return self._source.received

    def interrupt(self) -> None:
        """Ends the present wait for bytes, if there is one, with ReadInterrupted."""
        self._source.interrupt()

    async def read(self, limit: int) -> bytes:
        """The whole file. Raises BodyTooLarge above `limit` bytes, and what `readinto` raises."""
        content = bytearray(min(limit, self.length) + 1)
        count = await self.readinto(memoryview(content))
        if count > limit:
            raise BodyTooLarge
        return bytes(memoryview(content)[:count])

    async def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer, and stops short only at the file's end.

        Raises MalformedPOSTRequest where there is none, MaxPostPreDataLengthExceeded where more
        follows than may, EntityTooLarge, EntityTooSmall, and BodyIncomplete.
        """
        if self.is_over or not len(buffer):
            return 0
        count = min(len(self._ahead), len(buffer))
        buffer[:count] = self._ahead[:count]
        self._ahead = self._ahead[count:]
        if count < len(buffer):
            count += await self._source.readinto(buffer[count:])
        await self._look_ahead()
        end = self._find_end(b"".join((buffer[:count], self._ahead)), count)
        if end is None:
            if count < len(buffer):
                raise _malformed()
            end = count
        self._taken += end
        if self._taken > self.length:
            raise _malformed()
        self._check_size(self._taken, self.length)
        return end

    def _check_size(self, least: int, most: int) -> None:
        """Checks a file of which is known that it has from `least` to `most` bytes."""
        if least > self.size_max:
            extra = [("ProposedSize", str(least)), ("MaxSizeAllowed", str(self.size_max))]
            raise S3Error(codes.ENTITY_TOO_LARGE, extra=extra)
        if most < self.size_min:
            extra = [("ProposedSize", str(most)), ("MinSizeAllowed", str(self.size_min))]
            raise S3Error(codes.ENTITY_TOO_SMALL, extra=extra)

    async def _look_ahead(self) -> None:
        """Reads so far beyond the buffer that a delimiter which begins in it is seen whole."""
        missing = self._look - len(self._ahead)
        if missing > 0:
            more = bytearray(missing)
            count = await self._source.readinto(memoryview(more))
            self._ahead += bytes(more[:count])

    def _find_end(self, text: bytes, count: int) -> int | None:
        """Where the file ends in `text`, if that is within its first `count` bytes."""
        if not self._taken and text.startswith(self._delimiter[len(_CRLF) :]):
            raise _malformed()  # the line end of its head would be that of a delimiter
        at = text.find(self._delimiter)
        if not 0 <= at <= count:
            return None
        behind = text[at + len(self._delimiter) :][: len(_END)]
        if behind not in (_END, _CRLF):
            raise _malformed()
        if self.length - self._taken - at > FORM_BYTES_MAX:
            raise S3Error(codes.MAX_POST_PRE_DATA_LENGTH_EXCEEDED, _TOO_MUCH_BEHIND)
        self.is_over, self.length = True, self._taken + at
        return at


_TOO_MUCH_BEHIND: Final = "What follows the file in your POST request is too large."


@dataclass(slots=True)
class Form:
    """A form: the text of each field in front of the file by its lower-case name, and the file.

    `filename` is the file's, without the folders that it was in.
    """

    fields: dict[str, str]
    filename: str
    file: FileBody

    def expand(self) -> None:
        """Puts the file's name in place of `${filename}` in all fields, whose sender is known.

        Raises MaxPostPreDataLengthExceeded for more text than a form may have.
        """
        size = 0
        for name, value in self.fields.items():
            size += len(value) + value.count(_FILENAME) * len(self.filename)
            if size > FORM_BYTES_MAX:
                raise S3Error(codes.MAX_POST_PRE_DATA_LENGTH_EXCEEDED)
            self.fields[name] = value.replace(_FILENAME, self.filename)

    def key(self) -> bytes:
        """The key that the form names. Raises InvalidArgument, KeyTooLongError."""
        key = self.fields.get("key", "")
        if not key:
            raise missing_field("key")
        return checked_key(key.encode())


def boundary_of(request: Request) -> bytes:
    """What delimits the parts of a form.

    Raises PreconditionFailed where the request is no form, MalformedPOSTRequest.
    """
    value = request.header(b"content-type") or b""
    kind = value[: len(_KIND)].lower()
    rest = value[len(_KIND) :].strip(b" \t")
    if kind != _KIND or rest[:1] not in (b"", b";"):
        extra = [("Condition", _NOT_A_FORM)]
        raise S3Error(codes.PRECONDITION_FAILED, extra=extra)
    boundary = _parameters(rest).get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise _malformed()
    return boundary


def fields_bytes(request: Request) -> int:
    """How much of a form is read to know its fields. Raises MissingContentLength."""
    length = request.body.length
    if length is None:
        raise S3Error(codes.MISSING_CONTENT_LENGTH)
    return min(length, FORM_BYTES_MAX)


async def read(request: Request) -> Form:
    """The form up to its file.

    Raises S3Error: PreconditionFailed for what is no form, MissingContentLength,
    MalformedPOSTRequest, MaxPostPreDataLengthExceeded, InvalidArgument; and BodyIncomplete.
    """
    delimiter = _CRLF + b"--" + boundary_of(request)
    size, length = fields_bytes(request), request.body.length
    assert length is not None, "its size is bounded by it"
    block = bytearray(size)
    await request.body.readinto(memoryview(block))
    parts = _Parts(_CRLF + bytes(block), delimiter, length == size)
    fields, filename = parts.read()
    ahead = parts.rest()
    most = len(ahead) + length - size - len(delimiter) - len(_END)
    if most < 0:
        raise _malformed()
    return Form(fields, filename, FileBody(request.body, ahead, delimiter, most))


class _Parts:
    """The parts of a form up to its file. `text` begins with the line end of no line.

    `is_all` says that nothing of the form is behind `text`.
    """

    def __init__(self, text: bytes, delimiter: bytes, is_all: bool) -> None:
        self._text = text
        self._delimiter = delimiter
        self._is_all = is_all
        self._at = 0

    def read(self) -> tuple[dict[str, str], str]:
        """The fields, and the name of the file."""
        fields: dict[str, str] = {}
        self._at = self._text.find(self._delimiter)
        if self._at not in (0, len(_CRLF)):  # some clients begin with an empty line
            raise _malformed()
        while True:
            name, filename = self._head()
            if name == FILE:
                return fields, filename
            if name in fields:
                raise _refused(name, f"The form field '{name}' stands twice.")
            fields[name] = self._value()

    def rest(self) -> bytes:
        """What follows the head of the file."""
        return self._text[self._at :]

    def _head(self) -> tuple[str, str]:
        """The name of the next part, and that of its file."""
        begin = self._at + len(self._delimiter)
        behind = self._text[begin : begin + len(_END)]
        if behind == _END:
            message = "POST requires exactly one file upload per request."
            extra = [("ArgumentName", FILE), ("ArgumentValue", "0")]
            raise S3Error(codes.INVALID_ARGUMENT, message, extra=extra)
        if len(behind) == len(_END) and behind != _CRLF:
            raise _malformed()
        end = self._text.find(2 * _CRLF, begin)
        if end < 0:
            raise self._cut()
        self._at = end + len(2 * _CRLF)
        if self._text.find(self._delimiter, begin, end) >= 0:  # a part without an end of its head
            raise _malformed()
        return _names(self._text[begin + len(_CRLF) : end])

    def _value(self) -> str:
        end = self._text.find(self._delimiter, self._at - len(_CRLF))
        if end < 0:
            raise self._cut()
        if end < self._at:  # the line end of its head is that of a delimiter
            raise _malformed()
        value, self._at = self._text[self._at : end], end
        return _decode(value)

    def _cut(self) -> S3Error:
        """The error where the form ends before its file begins, or its file is too far behind."""
        if self._is_all:
            return _malformed()
        return S3Error(codes.MAX_POST_PRE_DATA_LENGTH_EXCEEDED)


def _names(head: bytes) -> tuple[str, str]:
    """The name of a part in lower case, and the name of its file without folders."""
    found: dict[bytes, bytes] = {}
    for line in head.split(_CRLF):
        name, colon, value = line.partition(b":")
        key = name.lower()
        if not colon or key != key.strip() or key in found:
            raise _malformed()
        found[key] = value.strip(b" \t")
    kind, semicolon, rest = found.get(b"content-disposition", b"").partition(b";")
    coding = found.get(b"content-transfer-encoding", b"binary").lower()
    if kind.strip().lower() != b"form-data" or coding not in _UNCODED:
        raise _malformed()
    said = _parameters(semicolon + rest)
    field = _decode(said.get(b"name", b"")).lower()
    if not field:
        raise _malformed()
    filename = _decode(said.get(b"filename", b""))
    return field, filename[max(filename.rfind("/"), filename.rfind("\\")) + 1 :]


def _parameters(text: bytes) -> dict[bytes, bytes]:
    """`; name=value; name="value"` by lower-case name."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise _malformed()
        name, quoted, plain = match.groups()
        if name.lower() in found:
            raise _malformed()
        found[name.lower()] = plain if quoted is None else _ESCAPED.sub(rb"\1", quoted)
        at = match.end()
    return found


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise _malformed() from None


def missing_field(name: str) -> S3Error:
    """The error of a form without a field that it needs in front of its file."""
    message = f"Bucket POST must contain a field named '{name}'."
    more = "If it is specified, please check the order of the fields."
    extra = [("ArgumentName", name), ("ArgumentValue", "")]
    return S3Error(codes.INVALID_ARGUMENT, f"{message}  {more}", extra=extra)


def _refused(name: str, message: str) -> S3Error:
    return S3Error(codes.INVALID_ARGUMENT, message, extra=[("ArgumentName", name)])


def _malformed() -> S3Error:
    return S3Error(codes.MALFORMED_POST_REQUEST)
