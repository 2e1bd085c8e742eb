"""HTTP to a Vault server: bounded in time and size, tried again, and left alone while it is down.

Knows paths, tokens and JSON; what the answers mean is `kms.vault`. Redirects are not followed: the
address comes from the settings, and a token goes nowhere else.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from fastobj.core.clock import Clock
from fastobj.core.secret import Secret
from fastobj.kms.base import KmsUnavailable

if TYPE_CHECKING:
    import aiohttp

ANSWER_BYTES_MAX: Final = 1 << 20
CONNECT_S_MAX: Final = 2.0
TRY_S_MAX: Final = 5.0
CONNECTIONS_MAX: Final = 16  # of each process
TRIES_MAX: Final = 3
AGAIN_S: Final = 0.1  # before the second try; each further one waits three times as long
REST_S_MIN, REST_S_MAX = 0.5, 30.0  # for which a server that is down is not asked
# What may be over soon: too many requests, sealed or starting, a standby that lags behind.
_PASSING: Final = frozenset({412, 429, 500, 502, 503, 504})
_CURE: Final = "look whether it runs, is unsealed, and can be reached at kms-endpoint from here"
_NS_PER_S: Final = 1_000_000_000

Sleep = Callable[[float], Awaitable[None]]


class Answer(NamedTuple):
    """An answer: its status and document."""

    status: int
    document: dict[str, Any]

    @property
    def errors(self) -> str:
        """What it says is wrong, on one line."""
        told = self.document.get("errors")
        lines = told if isinstance(told, list) else []
        return " ".join(" ".join(map(str, lines)).split()) or f"status {self.status}"


class _Failure(Exception):
    """A try that may be made again."""


class VaultLink:
    """The connections of one process to one server.

    `authority` is a file of certificates to trust instead of the system's, "" for those.
    """

    def __init__(
        self,
        endpoint: str,
        namespace: str,
        authority: str,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.endpoint = endpoint
        self._namespace = namespace
        self._authority = authority
        self._clock = clock
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._rest_s = REST_S_MIN
        self._rests_until_ns = 0
        self._why = ""  # it was down when it was asked last

    async def call(
        self, method: str, path: str, token: Secret | None, document: object = None
    ) -> Answer:
        """Asks, several times if need be. Raises KmsUnavailable."""
        self._refuse_resting()
        # aiohttp works in tasks only, and a request may have none (http.eager).
        return await asyncio.create_task(self._call(method, path, token, document))

    async def _call(self, method: str, path: str, token: Secret | None, document: object) -> Answer:
        for number in range(TRIES_MAX):
            if number:
                wait_s = AGAIN_S * 3 ** (number - 1)
                await self._sleep(random.uniform(wait_s / 2, wait_s))
            try:
                answer = await self._try(method, path, token, document)
            except _Failure as failure:
                self._why = str(failure)
                continue
            self._why, self._rest_s, self._rests_until_ns = "", REST_S_MIN, 0
            return answer
        self._rest()
        raise self._unavailable()

    async def close(self) -> None:
        """Closes the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # --- a server that is down

    def _refuse_resting(self) -> None:
        """While it rests nobody asks; then one does, and all others wait for what that brings."""
        if not self._why:
            return
        if self._clock.monotonic_ns() < self._rests_until_ns:
            raise self._unavailable()
        self._rests_until_ns = self._clock.monotonic_ns() + int(REST_S_MIN * _NS_PER_S)

    def _rest(self) -> None:
        self._rests_until_ns = self._clock.monotonic_ns() + int(self._rest_s * _NS_PER_S)
        self._rest_s = min(2 * self._rest_s, REST_S_MAX)

    def _unavailable(self) -> KmsUnavailable:
        return KmsUnavailable(f"Vault at {self.endpoint} does not answer: {self._why}; {_CURE}")

    # --- one try

    async def _try(self, method: str, path: str, token: Secret | None, document: object) -> Answer:
        import aiohttp

        headers = {"X-Vault-Request": "true"}
        if self._namespace:
            headers["X-Vault-Namespace"] = self._namespace
        if token is not None:
            headers["X-Vault-Token"] = token.value.decode("latin-1")
        url = f"{self.endpoint}/v1/{path}"
        try:
            async with self._opened().request(
                method, url, json=document, headers=headers, allow_redirects=False
            ) as response:
                answer = Answer(response.status, await _document(response.content))
        except aiohttp.ClientSSLError as error:
            raise _Failure(f"{_words(error)} (kms-ca names whom to trust)") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Failure(_words(error)) from None
        if answer.status in _PASSING:
            raise _Failure(f"{answer.errors} (status {answer.status})")
        return answer

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX, ssl=self._trust())
            timeout = aiohttp.ClientTimeout(total=TRY_S_MAX, sock_connect=CONNECT_S_MAX)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._authority or None)
        except (OSError, ssl.SSLError) as error:
            raise KmsUnavailable(
                f"kms-ca: {self._authority} holds no certificates to trust: {error}; name a file"
                " in PEM form with that of the authority"
            ) from None


async def _document(content: aiohttp.StreamReader) -> dict[str, Any]:
    """The document of an answer; an empty one where there is none. Raises _Failure."""
    body = bytearray()
    async for piece in content.iter_chunked(64 * 1024):
        body += piece
        if len(body) > ANSWER_BYTES_MAX:
            raise _Failure(f"its answer has more than {ANSWER_BYTES_MAX} bytes")
    if not body:
        return {}
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _Failure("its answer is no JSON document of Vault")
    return found


def _words(error: BaseException) -> str:
    return str(error) or "no answer in time"
