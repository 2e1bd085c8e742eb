"""The handler of PostObject: a PUT that a person's browser sends, as far as a policy lets it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from fastobj.core.limits import FORM_BYTES_MAX
from fastobj.http.message import BytesBody
from fastobj.s3 import policy_document, tagging, xml
from fastobj.s3.context import Context, Result
from fastobj.s3.form import Form
from fastobj.s3.handlers.object import put_object

_NS_PER_S: Final = 1_000_000_000
_SEE_OTHER: Final = 303
_CREATED: Final = 201
_NO_CONTENT: Final = 204
_STATUSES: Final = {"200": 200, "201": _CREATED}
_IN_URLS: Final = "!#$%&'()*+,/:;=?@[]~"


async def post_object(ctx: Context) -> Result:
    """Stores the file of a form as PutObject does, once the policy's conditions hold."""
    form = ctx.form
    assert form is not None, "dispatch has read it"
    _check_policy(ctx, form)
    if "tagging" in form.fields:
        tags = tagging.from_document(xml.decode("Tagging", form.fields["tagging"].encode()))
        ctx.request.add([(b"x-amz-tagging", urlencode(tags).encode())])
    if form.file.length <= ctx.store.small_body_bytes_max + FORM_BYTES_MAX:
        # Only its end tells whether it is small; what follows is not much.
        ctx.request.body = BytesBody(await form.file.read(form.file.length))
    return _answer(ctx, form, await put_object(ctx))


def _check_policy(ctx: Context, form: Form) -> None:
    """Checks fields and bounds the file by the policy; only who is nobody comes without one."""
    least, most = 0, ctx.object_bytes_max
    encoded = form.fields.get("policy")
    if encoded is not None:
        policy = policy_document.parse(encoded)
        policy.check(ctx.bucket, form.fields, ctx.store.clock.now_ns() // _NS_PER_S)
        least, most = policy.size_min, min(policy.size_max, most)
    form.file.bound(least, most)


# --- the answer


def _answer(ctx: Context, form: Form, stored: Result) -> Result:
    """What the form asks for, with all that PutObject tells."""
    etag = next(value for name, value in stored.headers if name == b"etag").decode("latin-1")
    said = form.fields.get("success_action_redirect") or form.fields.get("redirect") or ""
    redirect = _redirect(said, ctx, etag)
    if redirect:
        return Result(_SEE_OTHER, [(b"location", redirect.encode()), *stored.headers])
    location = _location(ctx)
    headers = [(b"location", location.encode()), *stored.headers]
    status = _STATUSES.get(form.fields.get("success_action_status", ""), _NO_CONTENT)
    if status != _CREATED:
        return Result(status, headers)
    key = ctx.key.decode()
    told = {"Location": location, "Bucket": ctx.bucket, "Key": key, "ETag": etag.strip('"')}
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
