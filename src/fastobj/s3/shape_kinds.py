"""What the table of XML documents is made of: documents, their elements, and what those mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What the text of an element means, and its type in a document."""

    TEXT = auto()  # str
    TOKEN = auto()  # str of ours that never holds markup: written as it is
    INT = auto()  # int
    SIGNED = auto()  # int that may be below zero, for whoever refuses that with a code of its own
    BOOL = auto()  # bool
    TIME = auto()  # int: nanoseconds since the Unix epoch; S3 shows whole seconds
    ETAG = auto()  # str without quotes, and without markup as a token
    PAIRS = auto()  # sequence of (element, text): further elements, in place; never read
    XSI_TYPE = auto()  # str: no element, but the attribute xsi:type of the one around it
    REFUSED = auto()  # a request that holds it asks for something that fastobj does not do


@dataclass(frozen=True, slots=True)
class Field:
    """One element: its name, its kind (or the fields inside it), and how it repeats.

    `many` is a flat list; `item` names the elements of a wrapped one.
    """

    name: str
    kind: Kind | tuple[Field, ...] = Kind.TEXT
    many: bool = False
    item: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """One document. `root` is its outermost element, which has `text` or `fields`.

    A request may come without it where it `may_be_absent`. Of a `strict` one every element has to
    be known: what a configuration says is never passed over.
    """

    name: str
    root: str
    fields: tuple[Field, ...] = ()
    text: bool = False
    has_namespace: bool = True
    may_be_absent: bool = False
    strict: bool = False
