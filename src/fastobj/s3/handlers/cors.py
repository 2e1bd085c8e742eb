"""Handlers of the rules for pages of other origins, and of what browsers ask before they send."""

from __future__ import annotations

from typing import Any, Final

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error
from fastobj.objects import configs
from fastobj.objects.cors import METHODS, Cors, CorsRule, check, rule_for
from fastobj.s3 import cors
from fastobj.s3.context import Context, Document, Result

_NOT_ENABLED: Final = "CORSResponse: CORS is not enabled for this bucket."
_NOT_FOUND: Final = "CORSResponse: Bucket not found"
_NOT_ALLOWED: Final = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of"
    " Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are"
    " not whitelisted by the resource's CORS spec."
)


async def get_bucket_cors(ctx: Context) -> Result:
    """The rules of a bucket."""
    found = await configs.find(ctx.store, ctx.existing(), configs.CORS)
    if found is None:
        raise S3Error(codes.NO_SUCH_CORS_CONFIGURATION, extra=[("BucketName", ctx.bucket)])
    return Result(document={"CORSRule": [_shown(rule) for rule in found.rules]})


async def put_bucket_cors(ctx: Context) -> Result:
    """Replaces the rules of a bucket."""
    bucket = ctx.existing()
    assert ctx.document is not None
    rules = [_rule(row) for row in ctx.document["CORSRule"]]
    await configs.put(ctx.store, bucket, configs.CORS, check(rules))
    return Result()


async def delete_bucket_cors(ctx: Context) -> Result:
    """Deletes the rules of a bucket; none is no error."""
    await configs.delete(ctx.store, ctx.existing(), configs.CORS)
    return Result(204)


async def preflight_bucket(ctx: Context) -> Result:
    """Whether a page may send a request about a bucket."""
    return await _preflight(ctx, "BUCKET")


async def preflight_object(ctx: Context) -> Result:
    """Whether a page may send a request about an object, which need not be there."""
    return await _preflight(ctx, "OBJECT")


async def _preflight(ctx: Context, kind: str) -> Result:
    """Allows what a rule of the bucket does, with all headers that were asked for."""
    request = ctx.request
    origin = _text(request.header(cors.ORIGIN))
    if not origin:
        message = "Insufficient information. Origin request header needed."
        raise S3Error(codes.BAD_REQUEST, message)
    method = _text(request.header(cors.METHOD))
    found = await _rules(ctx, kind, method)
    if method not in METHODS:
        shown = method[: limits.SHOWN_CHARS_MAX] or "null"
        raise S3Error(codes.BAD_REQUEST, f"Invalid Access-Control-Request-Method: {shown}")
    asked = cors.asked_headers(request)
    rule = rule_for(found, origin, method, asked)
    if rule is None:
        raise _forbidden(_NOT_ALLOWED, kind, method)
    headers = cors.allowing(rule, request)
    if asked:
        headers.append((b"access-control-allow-headers", ", ".join(asked).encode("latin-1")))
    return Result(headers=headers)


async def _rules(ctx: Context, kind: str, method: str) -> Cors:
    if ctx.found is None:
        raise _forbidden(_NOT_FOUND, kind, method)
    found = await configs.find(ctx.store, ctx.found, configs.CORS)
    if found is None:
        raise _forbidden(_NOT_ENABLED, kind, method)
    return found


def _forbidden(message: str, kind: str, method: str) -> S3Error:
    shown = method[: limits.SHOWN_CHARS_MAX] or "OPTIONS"
    extra = [("Method", shown), ("ResourceType", kind)]
    return S3Error(codes.ACCESS_FORBIDDEN, message, extra=extra)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("latin-1")


def _rule(row: Document) -> CorsRule:
    return CorsRule(
        origins=tuple(row["AllowedOrigin"]),
        methods=tuple(row["AllowedMethod"]),
        headers=tuple(row.get("AllowedHeader", ())),
        exposed=tuple(row.get("ExposeHeader", ())),
        max_age_s=row.get("MaxAgeSeconds"),
        id=row.get("ID", ""),
    )


def _shown(rule: CorsRule) -> dict[str, Any]:
    return {
        "ID": rule.id or None,
        "AllowedHeader": rule.headers,
        "AllowedMethod": rule.methods,
        "AllowedOrigin": rule.origins,
        "ExposeHeader": rule.exposed,
        "MaxAgeSeconds": rule.max_age_s,
    }
