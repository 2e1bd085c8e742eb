"""What of encryption a server does, from its settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

from fastobj.core.metrics import Family, Metric
from fastobj.core.secret import Secret
from fastobj.core.settings import Settings
from fastobj.kms.base import DataKey, Kms, KmsError
from fastobj.kms.local import LocalKms
from fastobj.node.layout import StoreLayout
from fastobj.objects.encryption_rules import Rules

_OFF: Final = "This server does not take keys of customers: its setting sse-c is off."
_INSECURE: Final = (
    "Requests specifying Server Side Encryption with Customer provided keys must be made over a"
    " secure connection."
)


Count = Callable[[Family, int], None]
T = TypeVar("T")


def encryption_rules(settings: Settings, layout: StoreLayout, count: Count) -> Rules:
    """The rules of the server of that store; `count` is told of calls of the key service."""
    kms = _kms(settings, layout, count)
    return Rules(kms, settings.kms_key_id, settings.sse_s3 == "on", _refusal(settings))


def key_file(settings: Settings, layout: StoreLayout) -> Path:
    """Where the local key service has its keys."""
    named = settings.kms_key_file
    return Path(named).absolute() if named else layout.kms_keys


def _kms(settings: Settings, layout: StoreLayout, count: Count) -> Kms | None:
    if settings.kms == "off":
        return None
    return CountedKms(LocalKms(key_file(settings, layout), settings.kms_key_id), count)


class CountedKms:
    """A key service whose calls are counted; its methods are those of kms.base.Kms."""

    def __init__(self, kms: Kms, count: Count) -> None:
        self._kms = kms
        self._count = count

    async def exists(self, key_id: str) -> bool:
        """Whether there is a key of that id; this is not counted."""
        return await self._kms.exists(key_id)

    async def generate(self, key_id: str, context: bytes) -> DataKey:
        """A fresh key."""
        return await self._counted(self._kms.generate(key_id, context))

    async def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> Secret:
        """The key that was wrapped."""
        return await self._counted(self._kms.unwrap(key_id, wrapped, context))

    async def wrap(self, key_id: str, plain: Secret, context: bytes) -> bytes:
        """The key, wrapped."""
        return await self._counted(self._kms.wrap(key_id, plain, context))

    async def _counted(self, call: Awaitable[T]) -> T:
        self._count(Metric.KMS_CALLS, 1)
        try:
            return await call
        except KmsError:
            self._count(Metric.KMS_FAILURES, 1)
            raise


def _refusal(settings: Settings) -> str:
    """Why customers' keys are not taken; "" where they are.

    They come in headers: over plain HTTP everybody on the way could read them.
    """
    if settings.sse_c == "off":
        return _OFF
    is_secure = (
        settings.sse_c == "on"
        or bool(settings.tls_certs)
        or settings.address.is_loopback
        or settings.external_url.startswith("https://")
    )
    return "" if is_secure else _INSECURE
