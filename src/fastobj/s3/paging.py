"""Parameters that all listings share: how many entries, from where, and in which encoding."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from string import ascii_letters, digits
from typing import Final
from urllib.parse import quote

from fastobj.core import codes
from fastobj.core.errors import S3Error

_NUMBER: Final = re.compile(r"[0-9]{1,10}")
_TOKEN_VERSION: Final = b"\x01"
# What percent-encoding leaves as it is: most keys are made of nothing else.
_UNRESERVED: Final = (ascii_letters + digits + "-._~/").encode()


def entries_max(
    query: Mapping[str, str], name: str, most: int, least: int = 0, unsaid: int | None = None
) -> int:
    """How many entries a page may have: `most` if more, or if unsaid. Raises InvalidArgument."""
    text = query.get(name, "")
    if not text:
        return most if unsaid is None else unsaid
    if not _NUMBER.fullmatch(text) or not least <= (number := int(text)) <= 2**31 - 1:
        message = f"Argument {name} must be an integer between {least} and {2**31 - 1}"
        raise _invalid(name, text, message)
    return min(number, most)


def encode_token(name: bytes) -> str:
    """An opaque token for the page that starts behind `name`."""
    return urlsafe_b64encode(_TOKEN_VERSION + name).decode().rstrip("=")


def decode_token(token: str) -> bytes:
    """The name in a token. Raises InvalidArgument for one that this server did not make."""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        raw = b""
    if raw[:1] != _TOKEN_VERSION or encode_token(raw[1:]) != token:
        message = "The continuation token provided is incorrect"
        raise _invalid("continuation-token", token, message)
    return raw[1:]


def text_encoder(query: Mapping[str, str]) -> Callable[[bytes], str]:
    """How keys are written into the answer: percent-encoded where `encoding-type` is `url`.

    Raises InvalidArgument for any other encoding.
    """
    return _percent_encode if is_url(query) else bytes.decode


def is_url(query: Mapping[str, str]) -> bool:
    """Whether `encoding-type` is `url`. Raises InvalidArgument for any other encoding."""
    encoding = query.get("encoding-type")
    if encoding and encoding != "url":
        raise _invalid("encoding-type", encoding, "Invalid Encoding Method specified in Request")
    return bool(encoding)


def _percent_encode(name: bytes) -> str:
    return quote(name, safe="/") if name.strip(_UNRESERVED) else name.decode()


def _invalid(name: str, value: str, message: str) -> S3Error:
    extra = [("ArgumentName", name), ("ArgumentValue", value)]
    return S3Error(codes.INVALID_ARGUMENT, message, extra=extra)
