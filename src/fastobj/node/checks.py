"""What a server checks of its settings before it touches a store: `config check` asks the same."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fastobj.core.clock import SystemClock
from fastobj.core.errors import StoreError
from fastobj.core.setting_sources import SettingsError, raise_all
from fastobj.core.settings import Settings
from fastobj.events import webhook
from fastobj.node import credentials
from fastobj.objects.integrity import PackageMissing, whole_sum
from fastobj.storage import io

METRICS_TOKEN_LENGTH_MIN: Final = 16


def check(settings: Settings) -> None:
    """Raises SettingsError with everything that keeps a server from starting with them."""
    raise_all([SettingsError(fault) for fault in faults(settings)])


def faults(settings: Settings) -> Iterator[str]:
    """Each thing that keeps a server from starting with these settings, and its cure."""
    yield from credentials.faults(settings)
    yield from _no_auth(settings)
    yield from _tls(settings)
    yield from _access_log(settings)
    yield from _metrics_token(settings)
    yield from _integrity(settings)
    yield from _webhooks(settings)
    yield from _vault(settings)
    yield from _faults_on_purpose()


def _faults_on_purpose() -> Iterator[str]:
    try:
        io.check_environment()
    except StoreError as error:
        yield str(error)


def _no_auth(settings: Settings) -> Iterator[str]:
    if not settings.no_auth:
        return
    for name in ("address", "console-address"):
        address = getattr(settings, name.replace("-", "_"))
        if not address.is_loopback:
            yield (
                f"no-auth (from {settings.origin('no-auth')}) lets everybody do everything, and"
                f" {name} {address} can be reached from other machines: listen on 127.0.0.1, ::1"
                " or localhost, or leave no-auth out"
            )


def _tls(settings: Settings) -> Iterator[str]:
    if not settings.tls_certs:
        return
    # Only here: without TLS a server needs none of ssl's memory.
    from fastobj.http.tls import Certificates

    try:
        Certificates(Path(settings.tls_certs), settings.tls_min_version, SystemClock())
    except SettingsError as error:
        yield str(error)


def _access_log(settings: Settings) -> Iterator[str]:
    if settings.access_log in ("", "-"):
        return
    file = Path(settings.access_log).absolute()
    place = file if file.exists() else file.parent
    if file.is_dir() or not file.parent.is_dir() or not os.access(place, os.W_OK):
        yield (
            f"access-log (from {settings.origin('access-log')}): {file} cannot be written: give a"
            " file in a folder that is there and that the server's user may write to"
        )


def _metrics_token(settings: Settings) -> Iterator[str]:
    token = settings.metrics_token
    if token and (len(token) < METRICS_TOKEN_LENGTH_MIN or not token.isascii() or " " in token):
        yield (
            f"metrics-token (from {settings.origin('metrics-token')}) must have"
            f" {METRICS_TOKEN_LENGTH_MIN} or more ASCII characters without blanks"
        )


def _integrity(settings: Settings) -> Iterator[str]:
    try:
        whole_sum(settings.integrity)
    except PackageMissing as error:
        yield f"integrity is {settings.integrity} (from {settings.origin('integrity')}): {error}"


def _webhooks(settings: Settings) -> Iterator[str]:
    if not settings.notify_webhook:
        return
    try:
        webhook.check_package()
    except webhook.PackageMissing as error:
        yield f"notify-webhook (from {settings.origin('notify-webhook')}): {error}"


def _vault(settings: Settings) -> Iterator[str]:
    """Looked for, and not loaded: each process does that when it first needs it."""
    if settings.kms != "vault":
        return
    if importlib.util.find_spec("aiohttp") is None:
        yield (
            f"kms is vault (from {settings.origin('kms')}), which needs the package aiohttp: pip"
            " install 'fastobj[vault]'"
        )
    if settings.kms_ca and not os.access(settings.kms_ca, os.R_OK):
        yield (
            f"kms-ca (from {settings.origin('kms-ca')}): {settings.kms_ca} cannot be read: name a"
            " file of certificates that the server's user may read"
        )
