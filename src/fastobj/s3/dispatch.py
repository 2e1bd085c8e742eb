"""Carries every request from its head to its answer, in one order for all operations.

Names, route, signature, permission, support, headers, XML: all of it before the handler runs, and
every exception on the way ends as an error of S3.
"""

from __future__ import annotations

import inspect
import os
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Mapping
from logging import Logger
from types import ModuleType
from typing import Final

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error
from fastobj.core.ids import random_id
from fastobj.core.op import Body, Op, Scope, Support
from fastobj.http.message import BodyIncomplete, BodyTooLarge, Request, Response
from fastobj.objects import buckets
from fastobj.objects.store import Store
from fastobj.s3 import errors, headers, xml
from fastobj.s3.auth import Authenticator
from fastobj.s3.context import Context, Document, Result
from fastobj.s3.names import is_bucket_name, parse_query, split_path
from fastobj.s3.operations import OPERATIONS
from fastobj.s3.payload import PayloadCheck
from fastobj.s3.router import resolve
from fastobj.s3.shapes import SHAPES

Handler = Callable[[Context], Awaitable[Result]]
Admit = Callable[[Op, Request], None]

_WORD: Final = re.compile("(?<!^)(?=[A-Z])")
_XML: Final = (b"content-type", b"application/xml")
_SERVER_FAULT: Final = 500


def handler_name(operation: str) -> str:
    """The name of an operation's handler: `PutObject` -> `put_object`."""
    return _WORD.sub("_", operation).lower()


def find_handlers(modules: Iterable[ModuleType]) -> dict[str, Handler]:
    """The handler of each served operation, by the operation's name.

    Raises LookupError where one is missing or is defined twice.
    """
    listed = list(modules)
    found: dict[str, Handler] = {}
    for op in OPERATIONS:
        if op.support is Support.YES:
            name = handler_name(op.name)
            homes = [module for module in listed if _defines(module, name)]
            if len(homes) != 1:
                raise LookupError(f"{op.name} has {len(homes)} handlers named {name}")
            found[op.name] = getattr(homes[0], name)
    return found


def _defines(module: ModuleType, name: str) -> bool:
    function = getattr(module, name, None)
    return inspect.iscoroutinefunction(function) and function.__module__ == module.__name__


async def authorise(context: Context) -> None:
    """Decides whether the sender may do what the row's action names: whoever signed may.

    Raises AccessDenied where the bucket is not that of the owner whom the request expects.
    """
    expected = context.request.header(b"x-amz-expected-bucket-owner")
    if expected is None or context.op.scope is Scope.SERVICE:
        return
    bucket = await buckets.find(context.store, context.bucket)
    if bucket is not None and bucket.record.owner.encode() != expected:
        raise S3Error(codes.ACCESS_DENIED)


class S3Application:
    """Answers S3 requests. `admit` may turn a request away before it costs anything.

    `handlers` has a coroutine function for each served operation, by its name.
    """

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator,
        handlers: Mapping[str, Handler],
        *,
        log: Logger,
        admit: Admit | None = None,
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._handlers = handlers
        self._log = log
        self._admit = admit
        self._host_id = b64encode(os.urandom(24)).decode()

    async def __call__(self, request: Request) -> Response:
        """Answers one request; raises nothing but a cancellation."""
        request_id = random_id(8).hex().upper()
        try:
            response = await self._answer(request, request_id)
        except Exception as error:  # whatever it is, the client gets an answer
            response = self._fail(error, request, request_id)
        response.headers.append((b"x-amz-request-id", request_id.encode()))
        response.headers.append((b"x-amz-id-2", self._host_id.encode()))
        return response

    async def _answer(self, request: Request, request_id: str) -> Response:
        names = split_path(request.path)
        query = parse_query(request.query)
        op = resolve(request.method, names.scope, query, request.header)
        if self._admit is not None:
            self._admit(op, request)
        identity, payload_sha256 = self._authenticator.authenticate(request, query)
        context = Context(
            op=op,
            request=request,
            request_id=request_id,
            store=self._store,
            identity=identity,
            bucket=names.bucket,
            key=names.key,
            query=query,
            payload_sha256=payload_sha256,
        )
        _check_support(context)
        await authorise(context)
        headers.check(op, request, query)
        if op.body is Body.XML:
            context.document = await _read_document(context)
        return _render(op, await self._handlers[op.name](context))

    def _fail(self, error: Exception, request: Request, request_id: str) -> Response:
        told = errors.translate(error)
        if told.code.status >= _SERVER_FAULT and told is not error:
            unexpected = told.code is codes.INTERNAL_ERROR
            self._log.error(
                "request %s (%s %s): %s: %r",
                request_id,
                request.method.decode("latin-1"),
                request.path.decode("utf-8", "backslashreplace").encode("unicode_escape").decode(),
                told.code.name,
                error,
                exc_info=error if unexpected else None,
            )
        response = errors.render(told, request, request_id, self._host_id)
        # What is left of such a body cannot be told from the next request.
        response.close = isinstance(error, BodyIncomplete)
        return response


def _check_support(context: Context) -> None:
    """Refused operations, and names that no bucket can have."""
    op = context.op
    if op.support is Support.REFUSED:
        raise S3Error(codes.NOT_IMPLEMENTED, f"{op.name} is not implemented")
    if op.scope is Scope.SERVICE or is_bucket_name(context.bucket):
        return
    code = codes.INVALID_BUCKET_NAME if op.name == "CreateBucket" else codes.NO_SUCH_BUCKET
    raise S3Error(code, extra=[("BucketName", context.bucket)])


async def _read_document(context: Context) -> Document | None:
    """The request's XML once its body has kept all promises; None where it may be absent."""
    check = PayloadCheck(context)
    try:
        body = await context.request.body.read(limits.XML_BODY_BYTES_MAX)
    except BodyTooLarge:
        raise S3Error(codes.MALFORMED_XML, "The XML you provided is too large.") from None
    check.check_small(body)
    name = context.op.xml_in
    assert name is not None
    if not body and SHAPES[name].may_be_absent:
        return None
    return xml.decode(name, body)


def _render(op: Op, result: Result) -> Response:
    if result.document is None or op.xml_out is None:
        return Response(result.status, result.headers, result.body, result.length)
    body = xml.encode(op.xml_out, result.document)
    return Response(result.status, [_XML, *result.headers], body)
