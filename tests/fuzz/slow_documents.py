"""Documents read the slow way: the whole tree first, then element by element as the table says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from fastobj.core import limits
from fastobj.s3.shapes import Field, Kind, Shape
from fastobj.s3.xml import XSI_NAMESPACE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BOOLS = {"true": True, "1": True, "false": False, "0": False}


class Refused(Exception):
    """The document is not one of the table."""


class _Tree(ElementTree.TreeBuilder):
    def doctype(self, *_: object) -> None:
        raise Refused("a document type")


def decode(shape: Shape, body: bytes) -> dict[str, Any]:
    """The document of that shape in `body`, which is well-formed. Raises Refused."""
    root: Element = ElementTree.XML(body, ElementTree.XMLParser(target=_Tree()))
    if _name(root) != shape.root or _depth(root) > limits.XML_DEPTH_MAX:
        raise Refused(root.tag)
    if sum(1 for _ in root.iter()) > limits.XML_ELEMENTS_MAX:
        raise Refused("too many elements")
    if shape.strict:
        _refuse_unknown(root, shape.fields)
    return {shape.root: _text(root)} if shape.text else _fields(root, shape.fields)


def _refuse_unknown(element: Element, kind: Kind | tuple[Field, ...]) -> None:
    known = {} if isinstance(kind, Kind) else {field.name: field for field in kind}
    for child in element:
        field = known.get(_name(child))
        if field is None:
            raise Refused(child.tag)
        _refuse_unknown(child, (Field(field.item, field.kind),) if field.item else field.kind)


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: Element) -> str:
    """The text of the element itself, not of those inside it."""
    return "".join([element.text or "", *(child.tail or "" for child in element)])


def _depth(element: Element) -> int:
    return 1 + max(map(_depth, element), default=0)


def _fields(element: Element, fields: tuple[Field, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in fields:
        if field.kind is Kind.XSI_TYPE:
            kind = element.get(f"{{{XSI_NAMESPACE}}}type")
            found |= {} if kind is None else {field.name: kind}
            continue
        children = [child for child in element if _name(child) == field.name]
        if (field.required and not children) or (len(children) > 1 and not field.many):
            raise Refused(field.name)
        values = [_value(child, field) for child in children]
        if values:
            found[field.name] = values if field.many else values[0]
    return found


def _value(element: Element, field: Field) -> Any:
    if field.item:
        inner = Field(field.item, field.kind)
        return [_value(child, inner) for child in element if _name(child) == field.item]
    if not isinstance(field.kind, Kind):
        return _fields(element, field.kind)
    return _scalar(_text(element), field.kind)


def _scalar(text: str, kind: Kind) -> Any:
    if kind in (Kind.TEXT, Kind.TOKEN):
        return text
    text = text.strip()
    if kind is Kind.ETAG:
        is_quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
        return text[1:-1] if is_quoted else text
    if kind is Kind.INT and text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    if kind is Kind.SIGNED and text.isascii() and text.removeprefix("-").isdigit():
        return int(text)
    if kind is Kind.BOOL and text.lower() in BOOLS:
        return BOOLS[text.lower()]
    if kind is Kind.TIME:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (aware - EPOCH) // timedelta(microseconds=1) * 1000
    raise Refused(text)
