"""Tags of objects as requests say them: in a header, and in a document."""

from __future__ import annotations

from typing import Final

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import OBJECT_TAGS_MAX
from fastobj.http.message import Request
from fastobj.objects import tags
from fastobj.s3.context import Document
from fastobj.s3.names import parse_pairs

_HEADER: Final = b"x-amz-tagging"
_DIRECTIVE: Final = b"x-amz-tagging-directive"
_DIRECTIVES: Final = {b"COPY": False, b"REPLACE": True}


def from_header(request: Request) -> dict[str, str]:
    """The tags that a request to store an object names. Raises InvalidArgument, InvalidTag."""
    value = request.header(_HEADER)
    return {} if not value else tags.check(_pairs(value), OBJECT_TAGS_MAX)


def of_copy(request: Request) -> dict[str, str] | None:
    """The tags of a copy; None where those of the source are kept.

    Raises InvalidArgument, InvalidTag. As metadata do, tags say nothing beside COPY.
    """
    directive = request.header(_DIRECTIVE)
    replaces = False if directive is None else _DIRECTIVES.get(directive.upper())
    if replaces is None:
        raise _bad(_DIRECTIVE, directive or b"", "Unknown tagging directive.")
    return from_header(request) if replaces else None


def from_document(document: Document) -> dict[str, str]:
    """The tags in a request's XML. Raises InvalidTag."""
    pairs = [(tag["Key"], tag["Value"]) for tag in document["TagSet"]]
    return tags.check(pairs, OBJECT_TAGS_MAX)


def document(found: dict[str, str]) -> Document:
    """The tags as an answer shows them: by key."""
    return {"TagSet": [{"Key": key, "Value": found[key]} for key in sorted(found)]}


def _pairs(value: bytes) -> list[tuple[str, str]]:
    try:
        pairs = [(key.decode(), (text or b"").decode()) for key, text in parse_pairs(value)]
    except (S3Error, UnicodeDecodeError):
        pairs = []
    if not pairs or len({key for key, _ in pairs}) < len(pairs):
        message = (
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query"
            " parameters without tag name duplicates."
        )
        raise _bad(_HEADER, value, message)
    return pairs


def _bad(name: bytes, value: bytes, message: str) -> S3Error:
    extra = [("ArgumentName", name.decode()), ("ArgumentValue", value.decode("latin-1"))]
    return S3Error(codes.INVALID_ARGUMENT, message, extra=extra)
