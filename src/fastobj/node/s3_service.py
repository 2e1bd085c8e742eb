"""The S3 application as a worker runs it: settings in, one application out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from logging import Logger
from types import ModuleType
from typing import Final
from urllib.parse import urlsplit

from fastobj.core.settings import Settings
from fastobj.http.message import Request
from fastobj.iam.identity import Identities
from fastobj.objects.store import Store
from fastobj.s3.admission import Admission
from fastobj.s3.auth import Authenticator, OpenAuthenticator, Rules
from fastobj.s3.context import Observer
from fastobj.s3.dispatch import S3Application, find_handlers
from fastobj.s3.handlers import (
    acl,
    attributes,
    bucket,
    bucket_defaults,
    bucket_tagging,
    config,
    copy,
    cors,
    lifecycle,
    listing,
    multipart,
    notification,
    object,
    object_lock,
    post_object,
    rename,
    service,
    versioning,
)
from fastobj.s3.names import bucket_of_host

HANDLERS: Final[tuple[ModuleType, ...]] = (
    service,
    bucket,
    object,
    copy,
    multipart,
    listing,
    acl,
    config,
    bucket_tagging,
    cors,
    lifecycle,
    bucket_defaults,
    notification,
    attributes,
    rename,
    post_object,
    versioning,
    object_lock,
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def s3_application(
    settings: Settings, store: Store, observer: Observer, log: Logger
) -> S3Application:
    """The application that answers requests to `store`."""
    return S3Application(
        store,
        _authenticator(settings, store),
        find_handlers(HANDLERS),
        log=log,
        observer=observer,
        admission=Admission(
            settings.requests_max, settings.body_memory_bytes_max, observer.refused
        ),
        domains=settings.domain,
        object_bytes_max=settings.max_object_size,
    )


def _authenticator(settings: Settings, store: Store) -> Authenticator | OpenAuthenticator:
    if settings.no_auth:
        return OpenAuthenticator(settings.signers[0], settings.signers[1:])
    rules = Rules(
        settings.region,
        settings.clock_skew_max,
        settings.presign_expires_max,
        host_of(settings.external_url),
        settings.signature_v2,
        settings.domain,
    )
    return Authenticator(Identities(settings.signers), rules, store.clock)


def bucket_in_host(domains: Sequence[str]) -> Callable[[Request], bool] | None:
    """Tells requests whose host names a bucket, where some of our domains can; else None."""
    if not domains:
        return None
    return lambda request: bool(bucket_of_host(request.header(b"host"), domains))


def host_of(url: str) -> bytes:
    """The Host header that clients of a URL send: without the port that its scheme implies."""
    if not url:
        return b""
    parts = urlsplit(url)
    host = parts.netloc.lower()
    return host.removesuffix(f":{_DEFAULT_PORTS[parts.scheme]}").encode()
