"""Encodes and decodes the documents of `shapes`. Knows XML; knows no operation.

The decoder refuses document types, entities and odd encodings, bounds depth and number of
elements, takes any namespace or none, and passes over elements that the table does not name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from xml.parsers import expat

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error
from fastobj.s3.shapes import SHAPES, Field, Kind, Shape

Document = Mapping[str, Any]

CONTENT_TYPE: Final = (b"content-type", b"application/xml")  # the header of every document
NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
XSI_NAMESPACE: Final = "http://www.w3.org/2001/XMLSchema-instance"
DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'

# --- encoding

_SPECIAL: Final = re.compile('[&<>"\x00-\x1f\x7f\ufffe\uffff]')
_ESCAPES: Final = {
    **{code: f"&#x{code:X};" for code in (*range(0x20), 0x7F, 0xFFFE, 0xFFFF)},
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
}

_Write = Callable[[Any], str]


def escape(text: str) -> str:
    """The text as it stands inside an element: markup and control characters as references."""
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


@lru_cache(maxsize=4096)
def _minute(minutes: int) -> str:
    return datetime.fromtimestamp(minutes * 60, UTC).strftime("%Y-%m-%dT%H:%M:")


_SECONDS: Final = tuple(f"{second:02}.000Z" for second in range(60))


def _instant(ns: int) -> str:
    minutes, second = divmod(ns // 1_000_000_000, 60)
    return _minute(minutes) + _SECONDS[second]


_SCALARS: Final[Mapping[Kind, _Write]] = {
    Kind.TEXT: escape,
    Kind.TOKEN: str,
    Kind.INT: str,
    Kind.SIGNED: str,
    Kind.BOOL: lambda value: "true" if value else "false",
    Kind.TIME: _instant,
    Kind.ETAG: "&quot;%s&quot;".__mod__,
}


def _writer(field: Field) -> _Write:
    """What writes the whole element of a field, or all elements of a list."""
    if field.kind is Kind.PAIRS:
        return _write_pairs
    if field.kind is Kind.REFUSED:
        return _write_nothing
    inner = _SCALARS[field.kind] if isinstance(field.kind, Kind) else _content(field.kind)
    name = field.item or field.name
    opening, closing = f"<{name}>", f"</{name}>"
    if field.item:
        start, end = f"<{field.name}>", f"</{field.name}>"
        between = closing + opening
        return lambda values: (
            f"{start}{opening}{between.join(map(inner, values))}{closing}{end}"
            if values
            else start + end
        )
    if typed := _type_name(field):
        return _typed_writer(name, typed, inner)
    if field.many:
        return _list_writer(opening, closing, inner)
    if inner is str:  # one call, and that without a frame of Python
        return f"{opening}%s{closing}".__mod__
    return lambda value: f"{opening}{inner(value)}{closing}"


@lru_cache(maxsize=1024)
def _type_name(field: Field | None) -> str:
    """The name under which an element keeps its xsi:type in a document; "" where it has none."""
    fields = field.kind if field is not None and isinstance(field.kind, tuple) else ()
    return next((child.name for child in fields if child.kind is Kind.XSI_TYPE), "")


def _typed_writer(name: str, typed: str, inner: _Write) -> _Write:
    def write(value: Document) -> str:
        kind = value.get(typed)
        told = f' xmlns:xsi="{XSI_NAMESPACE}" xsi:type="{escape(kind)}"' if kind else ""
        return f"<{name}{told}>{inner(value)}</{name}>"

    return write


def _list_writer(opening: str, closing: str, inner: _Write) -> _Write:
    between = closing + opening

    def write(values: Sequence[Any] | str) -> str:
        if isinstance(values, str):  # written already, by a kernel
            return values
        return f"{opening}{between.join(map(inner, values))}{closing}" if values else ""

    return write


def _write_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join([f"<{name}>{escape(text)}</{name}>" for name, text in pairs])


def _write_nothing(value: object) -> str:
    raise AssertionError("an element that requests are refused for has no place in an answer")


def _content(fields: tuple[Field, ...]) -> _Write:
    """What writes the elements of a document one after the other, in the order of the table."""
    elements = [field for field in fields if field.kind is not Kind.XSI_TYPE]
    writers = [(field.name, _writer(field)) for field in elements]

    def write(document: Document) -> str:
        get = document.get
        return "".join([put(value) for name, put in writers if (value := get(name)) is not None])

    return write


def _root_writer(shape: Shape) -> _Write:
    namespace = f' xmlns="{NAMESPACE}"' if shape.has_namespace else ""
    start, end = f"{DECLARATION}<{shape.root}{namespace}>", f"</{shape.root}>"
    content = _content(shape.fields)
    if shape.text:
        return lambda document: f"{start}{escape(document[shape.root])}{end}"
    return lambda document: f"{start}{content(document)}{end}"


_ENCODERS: Final = {name: _root_writer(shape) for name, shape in SHAPES.items()}


def encode(shape: str, document: Document) -> bytes:
    """The XML of a document whose shape has that name. A shape of text has it under its root.

    A flat list may be text: its elements as they were written by somebody who knows the table.
    """
    return _ENCODERS[shape](document).encode()


def encode_inside(shape: str, element: str, document: Document) -> str:
    """The XML inside one element of the shape: what of its fields the document has, in order."""
    return _inside(shape, element)(document)


@lru_cache(maxsize=64)
def _inside(shape: str, element: str) -> _Write:
    (fields,) = (field.kind for field in SHAPES[shape].fields if field.name == element)
    assert isinstance(fields, tuple), "an element of text has no fields"
    return _content(fields)


# --- decoding

_INT: Final = re.compile(r"[0-9]{1,19}")
_SIGNED: Final = re.compile(r"-?[0-9]{1,19}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
# What the parser knows itself. For another it would ask Python's codecs, which import what has
# that name, and keep each name in memory for good.
_ENCODINGS: Final = frozenset({"utf-8", "utf-16", "utf-16le", "utf-16be", "iso-8859-1", "us-ascii"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_BOOLS: Final = {"true": True, "1": True, "false": False, "0": False}


def decode(shape: str, body: bytes) -> dict[str, Any]:
    """The document in a request's body. Raises MalformedXML, and NotImplemented for what the
    table refuses."""
    reader = _Reader(SHAPES[shape])
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.XmlDeclHandler = _check_encoding
    parser.StartDoctypeDeclHandler = _refuse_declaration
    parser.EntityDeclHandler = _refuse_declaration
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise _malformed(str(error)) from None
    return reader.document


def _malformed(reason: str) -> S3Error:
    return S3Error(codes.MALFORMED_XML, f"{codes.MALFORMED_XML.message} ({reason})")


def _check_encoding(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise _malformed("use UTF-8")


def _refuse_declaration(*_: object) -> None:
    raise _malformed("document types and entities are not allowed")


class _Frame:
    """One open element. `field` is None where the table does not name it."""

    __slots__ = ("field", "fields", "found", "text")

    def __init__(self, field: Field | None, fields: Mapping[str, Field]) -> None:
        self.field = field
        self.fields = fields
        self.found: dict[str, Any] = {}
        self.text: list[str] = []

    def keep(self, field: Field, value: object) -> None:
        """Takes the value of a child that has ended."""
        if field.many:
            self.found.setdefault(field.name, []).append(value)
        elif field.name in self.found:
            raise _malformed(f"{field.name} stands twice")
        else:
            self.found[field.name] = value

    def value(self) -> Any:
        """What the element comes to, now that it ends."""
        assert self.field is not None
        if self.field.item:
            return self.found.get(self.field.item, [])
        if isinstance(self.field.kind, Kind):
            return _scalar(self.field, "".join(self.text))
        _check_required(self.fields, self.found)
        return self.found


class _Reader:
    """Builds the document from what the parser reports."""

    def __init__(self, shape: Shape) -> None:
        kind = Kind.TEXT if shape.text else shape.fields
        self._outside = _Frame(None, {shape.root: Field(shape.root, kind, required=True)})
        self._is_text = shape.text
        self._is_strict = shape.strict
        self._root = shape.root
        self._stack = [self._outside]
        self._elements = 0

    @property
    def document(self) -> dict[str, Any]:
        """The document, once the parser is done. Raises MalformedXML for another root."""
        found = self._outside.found
        _check_required(self._outside.fields, found)
        document: dict[str, Any] = found if self._is_text else found[self._root]
        return document

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self._elements += 1
        if self._elements > limits.XML_ELEMENTS_MAX or len(self._stack) > limits.XML_DEPTH_MAX:
            raise _malformed("too many elements")
        field = self._stack[-1].fields.get(name.rpartition(" ")[2])
        if field is None and self._is_strict:
            raise _malformed("an element is unknown where it stands")
        if field is not None and field.kind is Kind.REFUSED:
            message = f"The element {field.name} asks for something that is not implemented."
            raise S3Error(codes.NOT_IMPLEMENTED, message)
        frame = _Frame(field, _children(field))
        if attributes and (typed := _type_name(field)):
            kind = attributes.get(f"{XSI_NAMESPACE} type")
            if kind is not None:
                frame.found[typed] = kind
        self._stack.append(frame)

    def end(self, _: str) -> None:
        """The innermost element ends."""
        frame = self._stack.pop()
        if frame.field is not None:
            self._stack[-1].keep(frame.field, frame.value())

    def characters(self, text: str) -> None:
        """Text inside the innermost element."""
        self._stack[-1].text.append(text)


@lru_cache(maxsize=1024)
def _children(field: Field | None) -> Mapping[str, Field]:
    if field is None or isinstance(field.kind, Kind):
        return {}
    if field.item:
        return {field.item: Field(field.item, field.kind, many=True)}
    return {child.name: child for child in field.kind if child.kind is not Kind.XSI_TYPE}


def _check_required(fields: Mapping[str, Field], found: Mapping[str, Any]) -> None:
    for field in fields.values():
        if field.required and field.name not in found:
            raise _malformed(f"{field.name} is missing")


def _scalar(field: Field, text: str) -> str | int | bool:
    if field.kind is Kind.TEXT or field.kind is Kind.TOKEN:
        return text
    text = text.strip()
    if field.kind is Kind.ETAG:
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if field.kind is Kind.INT and _INT.fullmatch(text):
        return int(text)
    if field.kind is Kind.SIGNED and _SIGNED.fullmatch(text):
        return int(text)
    if field.kind is Kind.BOOL and text.lower() in _BOOLS:
        return _BOOLS[text.lower()]
    if field.kind is Kind.TIME:
        return _time(field, text)
    raise _malformed(f"{field.name} has a bad value")


def _time(field: Field, text: str) -> int:
    """Nanoseconds since the Unix epoch; of a second no more than its millionths counts."""
    try:
        instant = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        instant = None
    if instant is None:
        raise _malformed(f"{field.name} has a bad value")
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return (instant - _EPOCH) // _MICROSECOND * 1000
