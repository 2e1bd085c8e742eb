"""What is a set of tags: the same of a bucket, of an object and of an upload, but for its size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error

# Letters, digits and spaces of any script, and these; what has matched is never given back.
_ALLOWED: Final = re.compile(r"(?:[\w+\-=.:/@]|[^\S\x00-\x1f\x85])*+")
_RESERVED: Final = "aws:"


def check(tags: Sequence[tuple[str, str]], most: int) -> dict[str, str]:
    """The tags as a mapping in their order, at most `most` of them. Raises InvalidTag."""
    if len(tags) > most:
        raise S3Error(codes.INVALID_TAG, f"There are {len(tags)} tags, of at most {most}")
    found: dict[str, str] = {}
    for key, value in tags:
        check_tag(key, value)
        if key in found:
            message = "Cannot provide multiple Tags with the same key"
            raise S3Error(codes.INVALID_TAG, message, extra=[("TagKey", key)])
        found[key] = value
    return found


def check_tag(key: str, value: str) -> None:
    """Refuses what is no tag by itself. Raises InvalidTag."""
    if key.lower().startswith(_RESERVED):
        message = "System tags cannot be added/updated by requester"
        raise S3Error(codes.INVALID_TAG, message, extra=[("TagKey", key)])
    if not key or not _is_tag_text(key, limits.TAG_KEY_UNITS_MAX):
        message = "The TagKey you have provided is invalid"
        raise S3Error(codes.INVALID_TAG, message, extra=[("TagKey", key)])
    if not _is_tag_text(value, limits.TAG_VALUE_UNITS_MAX):
        message = "The TagValue you have provided is invalid"
        raise S3Error(codes.INVALID_TAG, message, extra=[("TagKey", key), ("TagValue", value)])


def _is_tag_text(text: str, units_max: int) -> bool:
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return units <= units_max and _ALLOWED.fullmatch(text) is not None
