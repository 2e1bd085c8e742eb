"""XML of requests and answers: documents of every shape come back, and damaged ones are refused."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from fastobj.core import codes
from fastobj.core.limits import XML_DEPTH_MAX
from fastobj.s3 import xml
from fastobj.s3.operations import OPERATIONS
from fastobj.s3.shapes import SHAPES, Field, Kind
from tests.fuzz import slow_documents
from tests.fuzz.harness import attempt
from tests.fuzz.mutations import NUMBERS, mutate

# Shapes of requests twice as often as those of answers: the first are what strangers send.
READ = sorted({op.xml_in for op in OPERATIONS if op.xml_in in SHAPES})
NAMES = (*READ, *READ, *SHAPES)

TEXTS = ("", "a", "a/b c", "ü€\U0001f600", "<&>\"'", " \t\n\r ", "\x7f\x85", "x" * 2000, "]]>")
SECONDS_MAX = 253_402_300_799  # the end of year 9999
SECONDS_MIN = -30_610_224_000  # the begin of year 1000, before which years have fewer digits

# What the parser knows by itself. Any other name would be looked up, and kept, by Python's codecs.
ENCODINGS = (b"utf-8", b"utf-16", b"utf-16le", b"utf-16be", b"iso-8859-1", b"us-ascii")
_ENCODING = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml [^>]*encoding\s*=\s*["']([^"']*)["']""")

OTHER_ENCODINGS = (b"unicode_escape", b"cp037", b"koi8-r", b"utf-7", b"base64", b"idna", b"nobody")
DECLARATION = b'<?xml version="1.0" encoding="%b"?>'

WORDS = (
    *NUMBERS,
    *(DECLARATION % name for name in (*ENCODINGS, *OTHER_ENCODINGS)),
    b'<?xml version="1.1"?>',
    b"<!DOCTYPE a>",
    b'<!DOCTYPE a [<!ENTITY b "c">]>',
    b'<!DOCTYPE a SYSTEM "file:///etc/passwd">',
    b"&b;",
    b"&amp;",
    b"&#0;",
    b"&#x1F600;",
    b"&#xD800;",
    b"&#xFFFFFFFF;",
    b"<![CDATA[<]]>",
    b"<!-- -->",
    b"<?php ?>",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"<a>",
    b"</a>",
    b"<a/>",
    b"<a>" * 40,
    b"<a/>" * 3000,
    b'<x:a xmlns:x="y"/>',
    b' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"',
    b' a="b"',
    b"<Object><Key>k</Key></Object>",
    b"<Size>1</Size>",
    b"<Quiet>true</Quiet>",
)
# Deeper than is allowed, and just not: the document itself has one to four levels.
BALANCED = tuple(b"<a>" * depth + b"</a>" * depth for depth in range(XML_DEPTH_MAX - 5, 20))


def document(rng: random.Random, fields: tuple[Field, ...]) -> dict[str, Any]:
    """A random document with those fields, as far as they can be read."""
    found = {}
    for field in fields:
        if field.kind in (Kind.REFUSED, Kind.PAIRS):
            continue
        if field.required or rng.random() < 0.6:
            found[field.name] = _value(rng, field)
    return found


def _value(rng: random.Random, field: Field) -> Any:
    if field.many or field.item:
        least = 0 if field.item else 1
        return [_one_value(rng, field) for _ in range(rng.randint(least, 3))]
    return _one_value(rng, field)


def _one_value(rng: random.Random, field: Field) -> Any:
    kind = field.kind
    if not isinstance(kind, Kind):
        return document(rng, kind)
    if kind in (Kind.INT, Kind.SIGNED):
        sign = rng.choice((1, -1)) if kind is Kind.SIGNED else 1
        return sign * rng.choice((0, 1, rng.getrandbits(63), 10**19 - 1))
    if kind is Kind.BOOL:
        return rng.random() < 0.5
    if kind is Kind.TIME:
        return rng.randint(SECONDS_MIN, SECONDS_MAX) * 1_000_000_000
    return rng.choice(TEXTS) if kind is Kind.TEXT else f"{rng.getrandbits(128):032x}"


def one(rng: random.Random) -> None:
    """One document, as it was written or damaged."""
    name = rng.choice(NAMES)
    shape = SHAPES[name]
    original = {shape.root: rng.choice(TEXTS)} if shape.text else document(rng, shape.fields)
    body = xml.encode(name, original)
    assert xml.decode(name, body) == original
    if rng.random() < 0.1:
        declaration = DECLARATION % rng.choice((*ENCODINGS, *OTHER_ENCODINGS))
        body = declaration + body.partition(b"?>")[2].lstrip()
    damaged = mutate(rng, body, WORDS) if rng.random() < 0.7 else _grown(rng, body)
    if rng.random() < 0.05:
        damaged = damaged.decode("utf-8", "replace").encode("utf-16")
    found, error = attempt(xml.decode, name, damaged)
    assert error is None or error.code in (codes.MALFORMED_XML, codes.NOT_IMPLEMENTED)
    if found is not None:
        _check(name, found, damaged)


def _grown(rng: random.Random, body: bytes) -> bytes:
    """The document with something whole between its tags, or before the first of them."""
    places = [at + 1 for at, byte in enumerate(body) if byte == ord(">")]
    at = rng.choice((places[0], rng.choice(places)))
    return body[:at] + rng.choice((*WORDS, *BALANCED)) + body[at:]


def _check(name: str, found: dict[str, Any], body: bytes) -> None:
    """What was decoded is what the slow way finds, and comes back when encoded."""
    shape = SHAPES[name]
    declared = _ENCODING.match(body)
    assert declared is None or declared[1].lower() in ENCODINGS
    if b"}" not in body:  # ElementTree refuses it in a namespace
        assert found == slow_documents.decode(shape, body)
    if shape.text or _fits(found, shape.fields):
        assert xml.decode(name, xml.encode(name, found)) == found


def _fits(found: Mapping[str, Any], fields: tuple[Field, ...]) -> bool:
    """Whether all can be written again: tokens and etags of strangers may hold markup, and times
    of the first thousand years have years of other lengths."""
    known = {field.name: field for field in fields}
    return all(
        _value_fits(value, known[name])
        for name, values in found.items()
        for value in (values if isinstance(values, list) else [values])
    )


def _value_fits(value: Any, field: Field) -> bool:
    kind = field.kind
    if not isinstance(kind, Kind):
        return _fits(value, kind)
    if kind in (Kind.TOKEN, Kind.ETAG):
        return bool(value.isalnum())
    if kind is Kind.XSI_TYPE:
        return bool(value)
    if kind is Kind.TIME:
        seconds, rest = divmod(value, 1_000_000_000)
        return rest == 0 and SECONDS_MIN <= seconds <= SECONDS_MAX  # whole ones are shown
    return True
