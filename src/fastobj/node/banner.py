"""What a server tells the person who started it: where it is, its keys, what to try first."""

from __future__ import annotations

import shlex
import sys
from typing import Final

from fastobj import __version__
from fastobj.core.setting_sources import FILE_SUFFIX
from fastobj.core.settings import VARIABLE_PREFIX, Settings
from fastobj.node.credentials import Credentials

_SAMPLE: Final = "/etc/hosts"  # a file that is there on every machine


def show(settings: Settings, credentials: Credentials) -> None:
    """Writes the text to standard output."""
    sys.stdout.write(text(settings, credentials))
    sys.stdout.flush()


def text(settings: Settings, credentials: Credentials) -> str:
    """The text. The secret key stands in it only in the start that generated it."""
    local = settings.url(settings.address)
    url = settings.external_url or local
    aws = f"aws --endpoint-url {url} s3"
    lines = [
        f"fastobj {__version__}",
        "",
        *_places(settings, local),
        *_keys(settings, credentials),
        *_further(credentials),
        *_warnings(settings),
        "",
        "Try it in another terminal:",
        *(f"  {line}" for line in _exports(settings, credentials)),
        f"  curl {url}/health/ready",
        f"  {aws} mb s3://first",
        f"  {aws} cp {_SAMPLE} s3://first/hosts",
        f"  {aws} ls s3://first",
    ]
    return "\n".join(lines) + "\n\n"


def _places(settings: Settings, local: str) -> list[str]:
    lines = [f"  S3        {local}  (region {settings.region})"]
    if settings.external_url:
        lines.append(f"  Outside   {settings.external_url}")
    if settings.domain:
        lines.append(f"  Buckets   {', '.join(f'BUCKET.{name}' for name in settings.domain)}")
    lines.append(f"  Health    {local}/health/ready")
    lines.append(f"  Console   {settings.url(settings.console_address)}")
    return lines


def _keys(settings: Settings, credentials: Credentials) -> list[str]:
    user = f"  User      {credentials.root.access_key}"
    if credentials.generated:
        secret = f"  Password  {credentials.root.secret_key}"
        return [user, f"{secret}  (shown this once; kept in {credentials.file})"]
    source = credentials.file or settings.origin("root-password")
    return [user, f"  Password  as in {source}"]


def _further(credentials: Credentials) -> list[str]:
    return [
        f"  Identity  {identity.id}  (access key {identity.access_key})"
        for identity in credentials.identities[1:]
    ]


def _warnings(settings: Settings) -> list[str]:
    if not settings.no_auth:
        return []
    return [
        "",
        "  WARNING   NO AUTHENTICATION: every request counts as the root user's, signed or not.",
        "            Every program on this machine can read, change and delete everything.",
    ]


def _exports(settings: Settings, credentials: Credentials) -> list[str]:
    """Shell lines that give AWS tools the keys without showing them."""
    region = f"AWS_DEFAULT_REGION={shlex.quote(settings.region)}"
    if credentials.file:
        file = shlex.quote(str(credentials.file))
        # A key in the environment would win over the file.
        return [
            "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE",
            f"export AWS_SHARED_CREDENTIALS_FILE={file} {region}",
        ]
    user = shlex.quote(credentials.root.access_key)
    secret = _secret_word(settings.origin("root-password"))
    return [f"export AWS_ACCESS_KEY_ID={user} AWS_SECRET_ACCESS_KEY={secret} {region}"]


def _secret_word(origin: str) -> str:
    """What a shell expands to the password: it is where the server found it."""
    if origin.endswith(FILE_SUFFIX):
        return f'"$(cat "${origin}")"'
    if origin.startswith((VARIABLE_PREFIX, "MINIO_")):
        return f'"${origin}"'
    return '"<the root password>"'
