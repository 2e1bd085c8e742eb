"""What of encryption a server does, from its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastobj.core.settings import Settings
from fastobj.kms.base import Kms
from fastobj.kms.local import LocalKms
from fastobj.node.layout import StoreLayout
from fastobj.objects.encryption_rules import Rules

_OFF: Final = "This server does not take keys of customers: its setting sse-c is off."
_INSECURE: Final = (
    "Requests specifying Server Side Encryption with Customer provided keys must be made over a"
    " secure connection."
)


def encryption_rules(settings: Settings, layout: StoreLayout) -> Rules:
    """The rules of the server of that store."""
    return Rules(
        _kms(settings, layout), settings.kms_key_id, settings.sse_s3 == "on", _refusal(settings)
    )


def key_file(settings: Settings, layout: StoreLayout) -> Path:
    """Where the local key service has its keys."""
    named = settings.kms_key_file
    return Path(named).absolute() if named else layout.kms_keys


def _kms(settings: Settings, layout: StoreLayout) -> Kms | None:
    if settings.kms == "off":
        return None
    return LocalKms(key_file(settings, layout), settings.kms_key_id)


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
