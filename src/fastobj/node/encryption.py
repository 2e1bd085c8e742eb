"""What of encryption a server does, from its settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from fastobj.core.clock import Clock, SystemClock
from fastobj.core.metrics import Family, Metric
from fastobj.core.secret import Secret
from fastobj.core.settings import Settings
from fastobj.kms.base import DataKey, KeyNotFound, Kms, KmsError, WrapMismatch, Wrapped
from fastobj.kms.local import LocalKms
from fastobj.node.layout import StoreLayout
from fastobj.objects.encryption_rules import Rules

if TYPE_CHECKING:
    from fastobj.kms.vault import VaultKms

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


def key_service(settings: Settings, layout: StoreLayout) -> Kms | None:
    """The key service that the settings name, which counts nothing and keeps nothing."""
    if settings.kms == "off":
        return None
    if settings.kms == "vault":
        return vault(settings)
    return LocalKms(key_file(settings, layout), settings.kms_key_id)


def vault(settings: Settings) -> VaultKms:
    """Vault, as the settings describe it. Nothing is asked yet."""
    # Only here: most servers need none of this.
    from fastobj.kms.vault import VaultKms
    from fastobj.kms.vault_link import VaultLink
    from fastobj.kms.vault_token import Login, VaultToken

    clock = SystemClock()
    link = VaultLink(settings.kms_endpoint, settings.kms_namespace, settings.kms_ca, clock)
    login = Login(
        _secret(settings.kms_token),
        settings.kms_token_sink,
        settings.kms_role_id,
        _secret(settings.kms_secret_id),
    )
    return VaultKms(link, VaultToken(link, login, clock), settings.kms_mount, clock)


def _secret(text: str) -> Secret | None:
    return Secret(text.encode()) if text else None


def _kms(settings: Settings, layout: StoreLayout, count: Count) -> Kms | None:
    kms, clock = key_service(settings, layout), SystemClock()
    if kms is None:
        return None
    counted = CountedKms(kms, count, clock)
    if settings.kms != "vault" or not settings.kms_keep:
        return counted
    from fastobj.kms.kept import KeepingKms

    return KeepingKms(counted, settings.kms_keep, clock)


class CountedKms:
    """A key service whose calls are counted; its methods are those of kms.base.Kms."""

    def __init__(self, kms: Kms, count: Count, clock: Clock) -> None:
        self._kms = kms
        self._count = count
        self._clock = clock

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

    async def newest(self, key_id: str) -> int:
        """The number of the version that wraps now."""
        return await self._counted(self._kms.newest(key_id))

    async def rewrap(
        self, key_id: str, wrapped: Sequence[Wrapped]
    ) -> list[bytes | KeyNotFound | WrapMismatch]:
        """Each of the keys, wrapped by the newest version: one call for all."""
        return await self._counted(self._kms.rewrap(key_id, wrapped))

    def version(self, wrapped: bytes) -> int:
        """The number of the version that wrapped."""
        return self._kms.version(wrapped)

    async def close(self) -> None:
        """Lets go of connections."""
        await self._kms.close()

    async def _counted(self, call: Awaitable[T]) -> T:
        self._count(Metric.KMS_CALLS, 1)
        began_ns = self._clock.monotonic_ns()
        try:
            return await call
        except KmsError:
            self._count(Metric.KMS_FAILURES, 1)
            raise
        finally:
            self._count(Metric.KMS_CALLS_NS, self._clock.monotonic_ns() - began_ns)


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
