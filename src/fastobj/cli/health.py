"""`fastobj health`: whether the server that these settings describe is ready to serve."""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from collections.abc import Sequence
from typing import Final

from fastobj.cli.main import EXIT_FAILED, Parser
from fastobj.core.setting_sources import add_arguments, load
from fastobj.core.settings import Settings

_DESCRIPTION: Final = (
    "Ask the server on this machine, at the address in the same settings, whether it is ready:"
    " exit status 0 if it is, 1 if not."
)
_PATH: Final = "/health/ready"
_ANSWER_S_MAX: Final = 4.0  # below the time-out of the image's HEALTHCHECK


def main(argv: Sequence[str]) -> int:
    """Asks once; returns the exit status. Raises SettingsError, and OSError for no answer."""
    parser = Parser("health", _DESCRIPTION)
    add_arguments(parser)
    settings = load(parser.parse_args(argv), os.environ)
    try:
        status = _ask(settings)
    except http.client.HTTPException as error:  # whatever listens there, it is not this server
        sys.stderr.write(f"fastobj health: {settings.address} answers no HTTP: {error!r}\n")
        return EXIT_FAILED
    if status != http.HTTPStatus.OK:
        sys.stderr.write(f"fastobj health: {settings.address} is not ready (status {status})\n")
        return EXIT_FAILED
    sys.stdout.write(f"{settings.address} is ready\n")
    return 0


def _ask(settings: Settings) -> int:
    """The status of the answer. Raises OSError, HTTPException."""
    connection = _connection(settings)
    try:
        connection.request("GET", _PATH)
        return connection.getresponse().status
    finally:
        connection.close()


def _connection(settings: Settings) -> http.client.HTTPConnection:
    host, port = settings.address.reachable
    if not settings.tls_certs:
        return http.client.HTTPConnection(host, port, timeout=_ANSWER_S_MAX)
    # Nothing is told to the server, and its certificate names no address of this machine's own.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=_ANSWER_S_MAX, context=context)
