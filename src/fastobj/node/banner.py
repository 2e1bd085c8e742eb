"""What a server tells the person who started it: where it is, its keys, what to try first."""

from __future__ import annotations

import shlex
import sys
from typing import Final

from fastobj import __version__
from fastobj.core.settings import FILE_SUFFIX, VARIABLE_PREFIX, Settings
from fastobj.node.credentials import RootCredentials

_SAMPLE: Final = "/etc/hosts"  # a file that is there on every machine


def show(settings: Settings, credentials: RootCredentials) -> None:
    """Writes the text to standard output."""
    sys.stdout.write(text(settings, credentials))
    sys.stdout.flush()


def text(settings: Settings, credentials: RootCredentials) -> str:
    """The text. The secret key stands in it only in the start that generated it."""
    url = settings.address.url
    aws = f"aws --endpoint-url {url} s3"
    lines = [
        f"fastobj {__version__}",
        "",
        f"  S3        {url}  (region {settings.region})",
        f"  Health    {url}/health/ready",
        f"  Console   {settings.console_address.url}",
        *_keys(settings, credentials),
        "",
        "Try it in another terminal:",
        *(f"  {line}" for line in _exports(settings, credentials)),
        f"  curl {url}/health/ready",
        f"  {aws} mb s3://first",
        f"  {aws} cp {_SAMPLE} s3://first/hosts",
        f"  {aws} ls s3://first",
    ]
    return "\n".join(lines) + "\n\n"


def _keys(settings: Settings, credentials: RootCredentials) -> list[str]:
    user = f"  User      {credentials.identity.access_key}"
    if credentials.generated:
        secret = f"  Password  {credentials.identity.secret_key}"
        return [user, f"{secret}  (shown this once; kept in {credentials.file})"]
    source = credentials.file or settings.origin("root-password")
    return [user, f"  Password  as in {source}"]


def _exports(settings: Settings, credentials: RootCredentials) -> list[str]:
    """Shell lines that give AWS tools the keys without showing them."""
    region = f"AWS_DEFAULT_REGION={shlex.quote(settings.region)}"
    if credentials.file:
        file = shlex.quote(str(credentials.file))
        # A key in the environment would win over the file.
        return [
            "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE",
            f"export AWS_SHARED_CREDENTIALS_FILE={file} {region}",
        ]
    user = shlex.quote(credentials.identity.access_key)
    secret = _secret_word(settings.origin("root-password"))
    return [f"export AWS_ACCESS_KEY_ID={user} AWS_SECRET_ACCESS_KEY={secret} {region}"]


def _secret_word(origin: str) -> str:
    """What a shell expands to the password: it is where the server found it."""
    if origin.endswith(FILE_SUFFIX):
        return f'"$(cat "${origin}")"'
    if origin.startswith((VARIABLE_PREFIX, "MINIO_")):
        return f'"${origin}"'
    return '"<the root password>"'
