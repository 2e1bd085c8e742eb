"""The least that reaches each row of the operation table."""

from typing import NamedTuple

from fastobj.core.op import Body, Scope, Support
from fastobj.s3.operations import OPERATIONS
from fastobj.s3.shapes import SHAPES, Kind

SIGNED = [op for op in OPERATIONS if op.action]  # all but what browsers ask first
SERVED = [op for op in OPERATIONS if op.support is Support.YES]
OF_OBJECTS = [op for op in OPERATIONS if op.scope is Scope.OBJECT]
STREAMED = [op for op in SERVED if op.body is Body.STREAM]
COPIES = [op for op in SERVED if op.also]
WITH_XML = [op for op in SERVED if op.xml_in]

_TEXTS = {
    Kind.INT: "1",
    Kind.BOOL: "true",
    Kind.TIME: "2026-11-20T00:00:00Z",
}


_FORM = (
    b'--limit\r\nContent-Disposition: form-data; name="key"\r\n\r\nkey\r\n'
    b'--limit\r\nContent-Disposition: form-data; name="file"\r\n\r\nfile\r\n--limit--\r\n'
)


class Minimal(NamedTuple):
    """What a row needs beside bucket and key."""

    query: str
    headers: dict[str, str]
    body: bytes


def minimal(op):
    """The minimal request of a row."""
    query = "&".join(
        f"{key}={text}" for key, text in [*((key, "1") for key in op.query), *op.pinned]
    )
    headers = {op.header: "bucket/source"} if op.header else {}
    if op.body is Body.FORM:
        headers["content-type"] = "multipart/form-data; boundary=limit"
        return Minimal(query, headers, _FORM)
    return Minimal(query, headers, document(op.xml_in).encode() if op.xml_in else b"")


def place(op, bucket, key):
    """Bucket and key as far as the row's scope has them."""
    return {
        Scope.SERVICE: ("", ""),
        Scope.BUCKET: (bucket, ""),
        Scope.OBJECT: (bucket, key),
    }[op.scope]


def document(name, text="text"):
    """A document of that shape with every element once; `text` is the content of texts."""
    shape = SHAPES[name]
    content = text if shape.text else "".join(_element(field, text) for field in shape.fields)
    return f"<{shape.root}>{content}</{shape.root}>"


def _element(field, text):
    if field.kind in (Kind.REFUSED, Kind.PAIRS):
        return ""
    if isinstance(field.kind, tuple):
        content = "".join(_element(child, text) for child in field.kind)
    else:
        content = _TEXTS.get(field.kind, text)
    if field.item:
        content = f"<{field.item}>{content}</{field.item}>"
    return f"<{field.name}>{content}</{field.name}>"
