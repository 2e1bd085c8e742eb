"""The row type of the operation table: one S3 operation, declared once. Knows no handler."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Scope(Enum):
    """What the request's path names."""

    SERVICE = auto()
    BUCKET = auto()
    OBJECT = auto()


class Cost(Enum):
    """Admission class of an operation."""

    READ = auto()
    WRITE = auto()
    LIST = auto()
    CONFIG = auto()


class Body(Enum):
    """What the request's body is."""

    NONE = auto()
    XML = auto()  # small, buffered, bounded by limits.XML_BODY_BYTES_MAX
    STREAM = auto()
    FORM = auto()  # multipart/form-data, which says in its fields who sends it


class Support(Enum):
    """Whether fastobj serves the operation or refuses it with a typed error."""

    YES = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Op:
    """One row of the operation table.

    `query` names query keys that must be present, `pinned` query keys with the value they must
    have, `header` a request header that must be present. The longest matcher wins. What `is_slow`
    may work for long before it answers; its answer is a document, without headers of its own.
    """

    name: str
    method: str
    scope: Scope
    action: str
    query: tuple[str, ...] = ()
    pinned: tuple[tuple[str, str], ...] = ()
    header: str | None = None
    also: tuple[str, ...] = ()
    cost: Cost = Cost.CONFIG
    body: Body = Body.NONE
    xml_in: str | None = None
    xml_out: str | None = None
    event: str | None = None
    is_slow: bool = False
    support: Support = Support.YES
