"""Requests to the S3 application in this process, and what comes back.

They are not signed: who may send them is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

from fastobj.http.message import BytesBody, Request
from fastobj.s3.dispatch import S3Application
from tests.model.values import Refused, Version, VersionNumber

SUM = "x-amz-checksum-"
BREAKS_OFF = "InternalError"  # also what an answer that breaks off comes to


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> ElementTree.Element:
        """The body as XML, without name spaces."""
        root = ElementTree.fromstring(self.body)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root

    @property
    def etag(self) -> str:
        """Without quotes."""
        return self.headers["etag"].strip('"')

    def headers_of(self, prefix: str) -> dict[str, str]:
        """Those whose names begin with `prefix`, without it."""
        found = self.headers.items()
        return {name[len(prefix) :]: value for name, value in found if name.startswith(prefix)}

    @property
    def version(self) -> str | None:
        """The version that it names."""
        return self.headers.get("x-amz-version-id")

    @property
    def is_marker(self) -> bool:
        """Whether it tells of a delete marker."""
        return self.headers.get("x-amz-delete-marker") == "true"

    @property
    def checksums(self) -> dict[str, str]:
        """Algorithm to text."""
        found = self.headers_of(SUM)
        found.pop("type", None)
        return found


class Sender:
    """Sends requests to `applications` in turn; they are replaced where the server starts anew.

    `names` are the ids of versions, by the numbers that the reference has for them.
    """

    def __init__(
        self, applications: Sequence[S3Application], names: Mapping[VersionNumber, str]
    ) -> None:
        self.applications = applications
        self.names = names
        self._sent = 0

    async def send(
        self,
        method: str,
        path: str,
        query: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        pairs = "&".join(
            f"{key}={quote(str(value), safe='')}" for key, value in (query or {}).items()
        )
        target = f"{quote(path)}?{pairs}" if pairs else quote(path)
        rows = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
        rows += [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        request = Request(
            method.encode(), target.encode(), rows, BytesBody(body), takes_chunks=False
        )
        self._sent += 1
        response = await self.applications[self._sent % len(self.applications)](request)
        received = b""
        try:
            if isinstance(response.body, bytes):
                received = response.body
            else:
                received = b"".join([bytes(piece) async for piece in response.body])
        except Exception as error:
            raise Refused(BREAKS_OFF) from error
        finally:
            response.finished(len(received), True)
        told = {name.decode(): value.decode() for name, value in response.headers}
        told.setdefault("content-length", str(response.length))
        answer = Answer(response.status, told, received)
        if response.status >= 300:
            has_text = method != "HEAD" and received
            code = answer.document.findtext("Code") if has_text else str(response.status)
            raise Refused(code, answer.version if answer.is_marker else None)
        if method != "HEAD" and len(received) != int(told["content-length"]):
            raise AssertionError(f"{len(received)} bytes, and not {told['content-length']}")
        return answer

    def id_of(self, version: Version) -> str:
        """What requests call a version."""
        return self.names[version] if isinstance(version, VersionNumber) else str(version)

    def named(self, version: Version) -> dict[str, object]:
        """The parameter of a request that names a version."""
        return {} if version is None else {"versionId": self.id_of(version)}
