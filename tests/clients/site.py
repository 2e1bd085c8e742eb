"""A server as one client sees it: its scheme, its style of addressing, its keys."""

import os
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from fastobj.testing.process_server import ProcessServer

RESOLVER = Path(__file__).with_name("resolver")
HOST = "s3.localhost"  # wildcards of certificates need two labels behind them
REGION = "us-east-1"
SCHEMES = ("http", "https")
STYLES = ("path", "virtual")


@dataclass(frozen=True)
class Site:
    """One way to one server."""

    server: ProcessServer
    scheme: str
    style: str

    @property
    def certificate(self) -> Path | None:
        """What clients trust; None over HTTP."""
        return self.server.authorities

    @property
    def endpoint(self) -> str:
        """The URL that clients are given; a bucket in virtual-host style stands in front of it.

        In path style it has an address: so clients choose that style by themselves.
        """
        return f"{self.scheme}://{self.host}"

    @property
    def host(self) -> str:
        """The endpoint's name or address, and the port."""
        return f"{'127.0.0.1' if self.style == 'path' else HOST}:{self.server.port}"

    @property
    def name(self) -> str:
        """A word for buckets of this site."""
        return f"{self.scheme}-{self.style}"

    def boto3(self, signature_version: str | None = "s3v4", **more: Any) -> Any:
        """A boto3 client; with None it presigns as it does by default."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.server.access_key,
            aws_secret_access_key=self.server.secret_key,
            region_name=REGION,
            verify=str(self.certificate) if self.certificate else None,
            config=Config(
                signature_version=signature_version,
                s3={"addressing_style": self.style},
                **more,
            ),
        )

    def environment(self, home: Path) -> dict[str, str]:
        """The environment of a client program with these keys and nobody else's settings."""
        kept = {key: text for key, text in os.environ.items() if not key.startswith("AWS_")}
        found = {
            **kept,
            "HOME": str(home),
            "PYTHONPATH": str(RESOLVER),
            "AWS_ACCESS_KEY_ID": self.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_key,
            "AWS_DEFAULT_REGION": REGION,
        }
        if self.certificate:
            found |= {
                "AWS_CA_BUNDLE": str(self.certificate),
                "NODE_EXTRA_CA_CERTS": str(self.certificate),
                "SSL_CERT_FILE": str(self.certificate),
            }
        return found


def fetched(site: Site, url: str, **more: Any) -> bytes:
    """What a URL answers to somebody without keys."""
    trusted = ssl.create_default_context(cafile=site.certificate) if site.certificate else None
    request = urllib.request.Request(url, **more)
    with urllib.request.urlopen(request, context=trusted) as response:
        answer: bytes = response.read()
        return answer


def run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a client's program to its end."""
    return subprocess.run(
        command, env=dict(environment), capture_output=True, text=True, check=False
    )


def combinations() -> Iterator[tuple[str, str]]:
    """Each scheme with each style."""
    for scheme in SCHEMES:
        for style in STYLES:
            yield scheme, style
