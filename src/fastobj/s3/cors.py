"""What a browser is told about requests of pages of other origins, as headers of HTTP."""

from __future__ import annotations

from typing import Final

from fastobj.http.message import Headers, Request
from fastobj.objects import buckets, configs
from fastobj.objects.cors import CorsRule, rule_for
from fastobj.objects.store import Store

ORIGIN: Final = b"origin"
METHOD: Final = b"access-control-request-method"
HEADERS: Final = b"access-control-request-headers"
_VARY: Final = (b"vary", b"Origin, Access-Control-Request-Headers, Access-Control-Request-Method")


def asked_headers(request: Request) -> list[str]:
    """The names of headers that a page wants to send, in lower case."""
    text = (request.header(HEADERS) or b"").decode("latin-1")
    return [name for name in (part.strip().lower() for part in text.split(",")) if name]


def allowing(rule: CorsRule, request: Request) -> Headers:
    """The headers that allow what the rule does, to the page that sent a request."""
    origin = b"*" if rule.is_for_all else request.header(ORIGIN) or b""
    found = [(b"access-control-allow-origin", origin)]
    if not rule.is_for_all:
        found.append((b"access-control-allow-credentials", b"true"))
    found.append((b"access-control-allow-methods", ", ".join(rule.methods).encode()))
    if rule.exposed:
        found.append((b"access-control-expose-headers", ", ".join(rule.exposed).encode()))
    if rule.max_age_s is not None:
        found.append((b"access-control-max-age", str(rule.max_age_s).encode()))
    return [*found, _VARY]


async def of_answer(store: Store, request: Request, name: str) -> Headers:
    """What an answer about a bucket tells a page of another origin; nothing where no rule fits.

    Raises StoreError where that cannot be told.
    """
    bucket = await buckets.find(store, name)
    if bucket is None:
        return []
    found = await configs.find(store, bucket, configs.CORS)
    if found is None:
        return []
    origin = (request.header(ORIGIN) or b"").decode("latin-1")
    method = (request.header(METHOD) or request.method).decode("latin-1")
    rule = rule_for(found, origin, method)
    return [] if rule is None else allowing(rule, request)
