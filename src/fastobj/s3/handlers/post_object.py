"""The handler of PostObject: a PUT that a person's browser sends, as far as a policy lets it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from fastobj.core import codes
from fastobj.core.errors import S3Error
from fastobj.core.limits import FORM_BYTES_MAX
from fastobj.http.message import BytesBody, Headers
from fastobj.meta.records import ObjectRecord
from fastobj.objects import carried, put
from fastobj.objects.carried import LargeBody
from fastobj.s3 import policy_document
from fastobj.s3.context import Context, Result
from fastobj.s3.form import Form
from fastobj.s3.handlers.object import Upload
from fastobj.s3.object_headers import checksum_headers, etag_header
from fastobj.s3.policy_document import Policy

_NS_PER_S: Final = 1_000_000_000
_SEE_OTHER: Final = 303
_CREATED: Final = 201
_NO_CONTENT: Final = 204
_STATUSES: Final = {"200": 200, "201": _CREATED}
_UNBOUNDED: Final = Policy(0, (), 0, 2**63)
_IN_URLS: Final = "!#$%&'()*+,/:;=?@[]~"


async def post_object(ctx: Context) -> Result:
    """Stores the file of a form. What can be refused is refused before the file is read."""
    form = ctx.form
    assert form is not None, "dispatch has read it"
    policy = _check_policy(ctx, form)
    if "tagging" in form.fields:
        message = "Tags of objects are not implemented"
        raise S3Error(codes.NOT_IMPLEMENTED, message, extra=[("Header", "tagging")])
    upload = Upload(ctx, ctx.existing())
    await put.check_conditions(ctx.store, upload.bucket, ctx.key, upload.conditions)
    record = await _store(ctx, form, policy, upload)
    return _answer(ctx, form, record)


def _check_policy(ctx: Context, form: Form) -> Policy:
    """The policy, once its conditions hold; only who is nobody comes without one."""
    encoded = form.fields.get("policy")
    if encoded is None:
        return _UNBOUNDED
    policy = policy_document.parse(encoded)
    policy.check(ctx.bucket, form.fields, ctx.store.clock.now_ns() // _NS_PER_S)
    return policy


# --- the file


async def _store(ctx: Context, form: Form, policy: Policy, upload: Upload) -> ObjectRecord:
    """What is behind the file is short, so its size is known well enough before it is read."""
    file, small = form.file, ctx.store.small_body_bytes_max
    policy = policy._replace(size_max=min(policy.size_max, ctx.object_bytes_max))
    policy.check_size(file.length - FORM_BYTES_MAX, file.length)
    if file.length > small + FORM_BYTES_MAX:
        most = min(file.length, policy.size_max)
        large = await carried.receive_up_to(ctx.store, most, upload.check.digests, file)
        return await _put_large(ctx, policy, upload, large)
    body = await file.read(file.length)
    policy.check_size(len(body), len(body))
    upload.length = len(body)
    if len(body) <= small:
        content = upload.content(upload.check.check_small(body))
        return await put.put_small(
            ctx.store, upload.bucket, ctx.key, content, body, upload.conditions
        )
    held = BytesBody(body)
    large = await carried.receive(ctx.store, len(body), upload.check.digests, held.readinto)
    return await _put_large(ctx, policy, upload, large)


async def _put_large(
    ctx: Context, policy: Policy, upload: Upload, large: LargeBody
) -> ObjectRecord:
    upload.length = large.location.length
    try:
        policy.check_size(upload.length, upload.length)
        content = upload.content(upload.check.finish())
    except S3Error as error:
        await large.close(error)
        raise
    return await put.put_large(ctx.store, upload.bucket, ctx.key, content, large, upload.conditions)


# --- the answer


def _answer(ctx: Context, form: Form, record: ObjectRecord) -> Result:
    etag = etag_header(record)
    said = form.fields.get("success_action_redirect") or form.fields.get("redirect") or ""
    redirect = _redirect(said, ctx, etag[1].decode("latin-1"))
    if redirect:
        return Result(_SEE_OTHER, [(b"location", redirect.encode()), etag])
    location = _location(ctx)
    headers: Headers = [(b"location", location.encode()), etag, *checksum_headers(record)]
    status = _STATUSES.get(form.fields.get("success_action_status", ""), _NO_CONTENT)
    if status != _CREATED:
        return Result(status, headers)
    key = ctx.key.decode()
    told = {"Location": location, "Bucket": ctx.bucket, "Key": key, "ETag": record.etag}
    return Result(status, headers, told)


def _redirect(url: str, ctx: Context, etag: str) -> str:
    """Where the browser is sent; "" for what is no URL, which counts as not said."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not named or not url.isprintable():
        return ""
    stored = urlencode({"bucket": ctx.bucket, "key": ctx.key, "etag": etag}, quote_via=quote)
    query = f"{parts.query}&{stored}" if parts.query else stored
    return quote(urlunsplit(parts._replace(query=query)), safe=_IN_URLS)


def _location(ctx: Context) -> str:
    """The URL of the object, by the host that the form was sent to."""
    scheme = "https" if ctx.request.secure else "http"
    path = ctx.request.path.decode("latin-1").rstrip("/")
    host = (ctx.request.header(b"host") or b"").decode("latin-1")
    return f"{scheme}://{host}{path}/{quote(ctx.key, safe='/')}"
