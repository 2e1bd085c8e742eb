"""Webhooks: a message is the body of a POST, and is taken where the answer is 2xx.

Where to is said by settings alone, so by whoever runs the server: a bucket's owner chooses among
the targets and never names an address. No redirect is followed, no proxy of the environment is
asked, no cookie is kept; certificates are verified; an answer is waited for, and read, within
bounds.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from fastobj import __version__
from fastobj.core.limits import (
    WEBHOOK_ANSWER_BYTES_MAX,
    WEBHOOK_CONNECT_S_MAX,
    WEBHOOK_CONNECTIONS_MAX,
    WEBHOOK_S_MAX,
)
from fastobj.core.setting_kinds import Webhook
from fastobj.events.base import NotDelivered

if TYPE_CHECKING:
    from aiohttp import ClientSession

_SUCCESS: Final = range(200, 300)
_SCHEME_AND_TOKEN: Final = 2


class PackageMissing(NotDelivered):
    """The package that speaks HTTP cannot be loaded; the message says which."""


def check_package() -> None:
    """Raises PackageMissing where webhooks cannot be served."""
    if find_spec("aiohttp") is None:
        raise PackageMissing(
            "webhooks need the package aiohttp, which is not installed:"
            " pip install 'fastobj[events]'"
        )


class WebhookTarget:
    """One webhook as settings give it (events.base.Target)."""

    def __init__(self, webhook: Webhook) -> None:
        self.id = webhook.id
        self._endpoint = _endpoint(webhook)
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"fastobj/{__version__}",
            **_authorization(webhook.auth_token),
        }
        self._session: ClientSession | None = None

    async def send(self, message: bytes) -> None:
        """POSTs it. Raises NotDelivered, which names neither the endpoint nor the token."""
        check_package()
        from aiohttp import ClientError  # only with the first event: it takes memory

        session = self._session or self._open()
        try:
            async with session.post(self._endpoint, data=message, allow_redirects=False) as answer:
                status = answer.status
                rest = await answer.content.read(WEBHOOK_ANSWER_BYTES_MAX)
                if len(rest) == WEBHOOK_ANSWER_BYTES_MAX:
                    answer.close()  # whatever more it says
        except TimeoutError as error:
            raise NotDelivered("no answer in time") from error
        except (ClientError, OSError, ValueError) as error:
            raise NotDelivered(f"{type(error).__name__}{_reason(error)}") from error
        if status not in _SUCCESS:
            raise NotDelivered(f"it answers {status}")

    def _open(self) -> ClientSession:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

        self._session = ClientSession(
            connector=TCPConnector(limit=WEBHOOK_CONNECTIONS_MAX),
            timeout=ClientTimeout(total=WEBHOOK_S_MAX, sock_connect=WEBHOOK_CONNECT_S_MAX),
            headers=self._headers,
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self._session

    async def rest(self) -> None:
        """Closes its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _endpoint(webhook: Webhook) -> str:
    """Where to. A user and password in it are sent as Basic, unless there is a token to send."""
    if not webhook.auth_token:
        return webhook.endpoint
    parts = urlsplit(webhook.endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _authorization(token: str) -> dict[str, str]:
    """A token alone is a bearer's; with a scheme before it, it is sent as it is."""
    if not token:
        return {}
    is_whole = len(token.split()) == _SCHEME_AND_TOKEN
    return {"Authorization": token if is_whole else f"Bearer {token}"}


def _reason(error: BaseException) -> str:
    """Why, from the system's own words: messages of the client would show the endpoint."""
    number = getattr(getattr(error, "os_error", error), "errno", None)
    return f": {os.strerror(number)}" if isinstance(number, int) and number > 0 else ""
