"""Carries every request from its head to its answer, in one order for all operations.

Names, route, signature, permission, support, headers, XML: all of it before the handler runs, and
every exception on the way ends as an error of S3.
"""

from __future__ import annotations

import codecs
import inspect
import os
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from logging import Logger
from types import ModuleType
from typing import Final

from fastobj.core import codes, limits
from fastobj.core.errors import FastobjError, S3Error
from fastobj.core.ids import random_id
from fastobj.core.log import request_id
from fastobj.core.op import Body, Op, Scope, Support
from fastobj.http.message import (
    BodyIncomplete,
    BodyTooLarge,
    BytesBody,
    Headers,
    Request,
    Response,
)
from fastobj.iam import access
from fastobj.iam.identity import Identity
from fastobj.objects import buckets, events
from fastobj.objects.buckets import Bucket
from fastobj.objects.store import Store
from fastobj.s3 import acl, cors, errors, form, headers, slow_answer, xml
from fastobj.s3.admission import Admission
from fastobj.s3.auth import Authenticator, OpenAuthenticator
from fastobj.s3.auth_claim import is_claimed
from fastobj.s3.auth_session import Authenticated
from fastobj.s3.chunked_body import ChunkedBody, Chunking
from fastobj.s3.context import Context, Document, Exchange, Observer, Result
from fastobj.s3.form import Form
from fastobj.s3.names import copy_source, is_bucket_name, locate, parse_query
from fastobj.s3.operations import OPERATIONS
from fastobj.s3.payload import PayloadCheck, check_length
from fastobj.s3.router import resolve
from fastobj.s3.shapes import SHAPES

Handler = Callable[[Context], Awaitable[Result]]

_WORD: Final = re.compile("(?<!^)(?=[A-Z])")
_SERVER_FAULT: Final = 500
_PRESIGNED: Final = "X-Amz-Signature"
_REGION: Final = b"x-amz-bucket-region"
_WHERE: Final = "HeadBucket"
_CREATION: Final = "CreateBucket"
_ANYBODY: Final = Authenticated(Identity("", "", "", ""), None)
_escape: Final = codecs.getencoder("unicode_escape")  # now: later there may be no descriptor for it


def handler_name(operation: str) -> str:
    """The name of an operation's handler: `PutObject` -> `put_object`."""
    return _WORD.sub("_", operation).lower()


def find_handlers(modules: Iterable[ModuleType]) -> dict[str, Handler]:
    """The handler of each served operation, by the operation's name.

    A module defines it as a function of its name, or has it in a table HANDLERS by operation.
    Raises LookupError where one is missing or is defined twice.
    """
    listed = list(modules)
    found: dict[str, Handler] = {}
    for op in OPERATIONS:
        if op.support is Support.YES:
            name = handler_name(op.name)
            handlers = [handler for module in listed for handler in _handlers(module, op, name)]
            if len(handlers) != 1:
                raise LookupError(f"{op.name} has {len(handlers)} handlers named {name}")
            found[op.name] = handlers[0]
    return found


def _handlers(module: ModuleType, op: Op, name: str) -> Iterator[Handler]:
    function = getattr(module, name, None)
    if inspect.iscoroutinefunction(function) and function.__module__ == module.__name__:
        yield function
    table: Mapping[str, Handler] = getattr(module, "HANDLERS", {})
    if op.name in table:
        yield table[op.name]


async def authorise(context: Context) -> None:
    """Decides whether the sender may do what the row's actions name. Raises AccessDenied.

    A bucket that does not exist is for the handler to tell; whoever makes one will own it. What
    a copy reads from is decoded here, so that what is decided on is what is read.
    """
    if context.op.scope is Scope.SERVICE:
        return
    context.found = await _authorise(context, context.bucket, b"x-amz-expected-bucket-owner")
    if context.op.also:
        header = context.request.header(b"x-amz-copy-source")
        assert header is not None, "the row's header is what it was found by"
        source = context.source = copy_source(header)
        owner = b"x-amz-source-expected-bucket-owner"
        context.found_source = await _authorise(context, source.bucket, owner)


async def _authorise(context: Context, name: str, expected_owner: bytes) -> Bucket | None:
    """The bucket of that name, if there is one and the sender may."""
    bucket = await buckets.find(context.store, name)
    if bucket is None:
        return None
    expected = context.request.header(expected_owner)
    if expected is not None and bucket.record.owner.encode() != expected:
        raise S3Error(codes.ACCESS_DENIED)
    # Another's bucket of that name is told by the code that clients know: BucketAlreadyExists.
    # What nobody signs is answered to anybody.
    is_open = context.op.name == _CREATION or not context.op.action
    if not is_open and not access.may(context.identity, bucket.record.owner):
        region = (_REGION, bucket.record.region.encode())  # S3 tells it all the same
        raise S3Error(codes.ACCESS_DENIED, headers=[region])
    return bucket


class S3Application:
    """Answers S3 requests.

    `handlers` has a coroutine function for each served operation, by its name. Requests to a host
    below one of `domains` name their bucket there. `object_bytes_max` bounds a body that is stored.
    """

    def __init__(
        self,
        store: Store,
        authenticator: Authenticator | OpenAuthenticator,
        handlers: Mapping[str, Handler],
        *,
        log: Logger,
        observer: Observer,
        admission: Admission,
        domains: Sequence[str] = (),
        object_bytes_max: int = limits.OBJECT_BYTES_MAX,
    ) -> None:
        self._store = store
        self._authenticator = authenticator
        self._handlers = handlers
        self._log = log
        self._observer = observer
        self._admission = admission
        self._domains = domains
        self._object_bytes_max = object_bytes_max
        self._host_id = b64encode(os.urandom(24)).decode()
        self._host_id_header = (b"x-amz-id-2", self._host_id.encode())

    async def __call__(self, request: Request) -> Response:
        """Answers one request; raises nothing but a cancellation."""
        exchange = Exchange(request, random_id(8).hex().upper(), self._store.clock.monotonic_ns())
        request_id.set(exchange.request_id)  # this request's task is its own context
        self._admission.enter()
        self._observer.begun(exchange)
        try:
            response = await self._answer(exchange)
        except Exception as error:  # whatever it is, the client gets an answer
            response = self._fail(error, exchange)
        except BaseException:
            self._ended(exchange, 0, False)
            raise
        if request.header(cors.ORIGIN) is not None:
            response.headers += await self._told_to_pages(exchange)
        request_id_header = (b"x-amz-request-id", exchange.request_id.encode())
        response.headers += (request_id_header, self._host_id_header)
        exchange.status = response.status
        response.finished = partial(self._ended, exchange)
        return response

    def _ended(self, exchange: Exchange, sent_bytes: int, complete: bool) -> None:
        """The answer has left, or its client has."""
        exchange.sent_bytes, exchange.complete = sent_bytes, complete
        self._admission.leave(exchange.whole_bytes)
        self._observer.ended(exchange)

    async def _answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        names = locate(request.path, request.header(b"host"), self._domains)
        exchange.bucket, exchange.key = names.bucket, names.key
        query = parse_query(request.query)
        op = exchange.op = resolve(request.method, names.scope, query, request.header)
        self._admission.check()
        sender = _ANYBODY
        if op.action:
            known = self._authenticator.recognise(request, query)
            sender = known or await self._authenticate(exchange, query)
            exchange.identity = sender.identity
            if _PRESIGNED in query:
                request.add(headers.moved(query))
        context = Context(
            op=op,
            request=request,
            request_id=exchange.request_id,
            store=self._store,
            identity=sender.identity,
            bucket=names.bucket,
            key=names.key,
            query=query,
            payload_sha256=sender.payload_sha256,
            identities=self._authenticator.identities,
            object_bytes_max=self._object_bytes_max,
        )
        if op.body is Body.FORM:
            _take_form(context, sender.form)
            exchange.key = context.key
        await authorise(context)
        _check_support(context)
        headers.check(op, context.request, query)
        if sender.chunking is not None:
            _decode_chunks(context, sender.chunking)
        if op.body is Body.STREAM:
            check_length(request.body.length, self._object_bytes_max)
        elif op.body is Body.XML:
            context.document = await _read_document(context)
        if context.found is not None and context.found.record.configs and op.name != _CREATION:
            await acl.check_ownership(context, context.found)
        if op.event is not None:
            events.ask(context)
        working = self._handlers[op.name](context)
        if op.is_slow and request.takes_chunks:
            answer = partial(_render, op)
            return await slow_answer.answer(working, answer, partial(self._fail, exchange=exchange))
        return _render(op, await working)

    async def _authenticate(self, exchange: Exchange, query: Mapping[str, str]) -> Authenticated:
        """Who sent the request.

        The fields of a form, and a body whose hash no header tells, are read first, within bounds.
        """
        request, op = exchange.request, exchange.op
        if op is not None and op.body is Body.FORM and not is_claimed(request, query):
            return await self._authenticate_form(exchange, query)
        claim = self._authenticator.claim(request, query)
        if claim.payload is None:
            most = limits.UNSIGNED_BODY_BYTES_MAX
            length = request.body.length
            if length is not None and length > most:
                raise _hash_missing()
            exchange.whole_bytes = self._admission.hold(most if length is None else length)
            try:
                body = await request.body.read(most)
            except BodyTooLarge:
                raise _hash_missing() from None
            request.body = BytesBody(body)
            claim = claim.with_body(body)
        return self._authenticator.verify(request, query, claim)

    async def _told_to_pages(self, exchange: Exchange) -> Headers:
        """What a page of another origin is told beside the answer; where that fails, nothing."""
        op = exchange.op
        if not exchange.bucket or (op is not None and not op.action):
            return []
        try:
            return await cors.of_answer(self._store, exchange.request, exchange.bucket)
        except FastobjError as error:
            bucket = _escape(exchange.bucket)[0].decode()
            self._log.error("CORS rules of bucket %s cannot be told: %r", bucket, error)
            return []

    async def _authenticate_form(
        self, exchange: Exchange, query: Mapping[str, str]
    ) -> Authenticated:
        """Who made the form that the request brings: told by its fields."""
        request = exchange.request
        form.boundary_of(request)  # before anything is read
        exchange.whole_bytes = self._admission.hold(form.fields_bytes(request))
        found = await form.read(request)
        claim = self._authenticator.claim_form(request, found.fields)
        return self._authenticator.verify(request, query, claim)._replace(form=found)

    def _fail(self, error: Exception, exchange: Exchange) -> Response:
        request = exchange.request
        told = errors.translate(error)
        exchange.error = told.code
        if told.code.status >= _SERVER_FAULT and told is not error:
            unexpected = told.code is codes.INTERNAL_ERROR
            self._log.error(
                "%s %s: %s: %r",
                request.method.decode("latin-1"),
                _escape(request.path.decode("utf-8", "backslashreplace"))[0].decode(),
                told.code.name,
                error,
                exc_info=error if unexpected else None,
            )
        response = errors.render(told, request, exchange.request_id, self._host_id)
        # What is left of such a body cannot be told from the next request.
        response.close = isinstance(error, BodyIncomplete)
        if exchange.op is not None and exchange.op.name == _WHERE:
            _tell_region(response, self._store.region)
        return response


def _tell_region(response: Response, region: str) -> None:
    """Clients ask without keys where a bucket is. All are in one region, whether there or not."""
    forbidden = response.status == codes.ACCESS_DENIED.status
    if forbidden and all(name != _REGION for name, _ in response.headers):
        response.headers.append((_REGION, region.encode()))


def _take_form(context: Context, signed: Form | None) -> None:
    """From here on the fields are the request's headers, the key theirs, and the file its body."""
    if signed is None:
        message = "A form is signed by its fields: not by an Authorization header, nor by a query"
        raise S3Error(codes.INVALID_REQUEST, message)
    signed.expand()
    context.form = signed
    context.key = signed.key()
    request = context.request
    kept = [(name, value) for name, value in request.headers if name == b"host"]
    said = headers.of_form(signed.fields)
    context.request = request.with_body([*kept, *said], signed.file)


def _check_support(context: Context) -> None:
    """Refused operations, and names that no bucket can have."""
    op = context.op
    if op.support is Support.REFUSED:
        raise S3Error(codes.NOT_IMPLEMENTED, f"{op.name} is not implemented")
    if op.scope is Scope.SERVICE or context.found is not None or is_bucket_name(context.bucket):
        return
    # Clients ask by HEAD whether a name exists, and some with names that never do.
    code = codes.NO_SUCH_BUCKET if op.method == "HEAD" else codes.INVALID_BUCKET_NAME
    raise S3Error(code, extra=[("BucketName", context.bucket)])


def _decode_chunks(context: Context, chunking: Chunking) -> None:
    """From here on the request's body is its payload."""
    if context.op.body is not Body.STREAM:
        message = f"{context.op.name} does not take a body in chunks"
        raise S3Error(codes.INVALID_REQUEST, message)
    context.chunked = context.request.body = ChunkedBody(context.request, chunking)


def _hash_missing() -> S3Error:
    message = "Missing required header for this request: x-amz-content-sha256"
    return S3Error(codes.INVALID_REQUEST, message)


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
    return Response(result.status, [xml.CONTENT_TYPE, *result.headers], body)
