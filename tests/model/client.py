"""The same methods as the reference S3, each a request to the S3 application in this process.

Requests are not signed: who may send them is tested elsewhere.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from fastobj.http.message import BytesBody, Request
from fastobj.s3.dispatch import S3Application
from tests.model.values import (
    ALWAYS,
    KEYS_MAX,
    PLAIN,
    Conditions,
    Description,
    Entry,
    Page,
    Refused,
    Seen,
    digest,
)

_META = "x-amz-meta-"
_SUM = "x-amz-checksum-"
_STORED = ("content-type", "cache-control", "content-encoding")
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
    def checksums(self) -> dict[str, str]:
        """Algorithm to text."""
        found = self.headers_of(_SUM)
        found.pop("type", None)
        return found


class Client:
    """Sends requests to `applications` in turn; they are replaced where the server starts anew."""

    def __init__(self, applications: Sequence[S3Application]) -> None:
        self.applications = applications
        self._sent = 0
        self._upload_ids = ["0" * 32]  # by the number that the reference has for the upload

    async def _send(
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
            raise Refused(code)
        if method != "HEAD" and len(received) != int(told["content-length"]):
            raise AssertionError(f"{len(received)} bytes, and not {told['content-length']}")
        return answer

    # --- buckets

    async def create_bucket(self, bucket: str) -> None:
        await self._send("PUT", f"/{bucket}")

    async def delete_bucket(self, bucket: str) -> None:
        await self._send("DELETE", f"/{bucket}")

    async def list_buckets(self) -> list[str]:
        answer = await self._send("GET", "/")
        return [element.text for element in answer.document.iter("Name")]

    # --- objects

    async def put(
        self,
        bucket: str,
        key: str,
        content: bytes,
        description: Description = PLAIN,
        conditions: Conditions = ALWAYS,
    ) -> tuple[str, dict[str, str]]:
        headers = _described(description) | _conditions(conditions)
        if description.algorithm:
            headers[f"{_SUM}{description.algorithm}"] = _base64(description.algorithm, content)
        answer = await self._send("PUT", f"/{bucket}/{key}", None, headers, content)
        return answer.etag, answer.checksums

    async def get(
        self,
        bucket: str,
        key: str,
        wanted: str = "",
        conditions: Conditions = ALWAYS,
        part: int = 0,
        *,
        method: str = "GET",
    ) -> Seen:
        headers = {"x-amz-checksum-mode": "ENABLED", **_conditions(conditions)}
        if wanted and not part:
            headers["range"] = f"bytes={wanted}"
        query = {"partNumber": part} if part else None
        answer = await self._send(method, f"/{bucket}/{key}", query, headers)
        told = answer.headers
        assert (answer.status == 206) == ("content-range" in told)
        return Seen(
            answer.body,
            int(told["content-length"]),
            told.get("content-range", ""),
            answer.etag,
            int(parsedate_to_datetime(told["last-modified"]).timestamp()),
            {name: told[name] for name in _STORED if name in told},
            answer.headers_of(_META),
            answer.checksums,
            int(told.get("x-amz-mp-parts-count", 0)),
        )

    async def head(self, *arguments: object) -> Seen:
        return await self.get(*arguments, method="HEAD")

    async def copy(
        self,
        source_bucket: str,
        source_key: str,
        bucket: str,
        key: str,
        replaced: Description | None = None,
        source_conditions: Conditions = ALWAYS,
        conditions: Conditions = ALWAYS,
    ) -> tuple[str, dict[str, str]]:
        headers = _copied(source_bucket, source_key, source_conditions) | _conditions(conditions)
        if replaced is not None:
            headers |= {"x-amz-metadata-directive": "REPLACE", **_described(replaced)}
            if replaced.algorithm:
                headers[f"{_SUM}algorithm"] = replaced.algorithm.upper()
        answer = await self._send("PUT", f"/{bucket}/{key}", None, headers)
        return _etag_in(answer.document), _sums_in(answer.document)

    async def delete(self, bucket: str, key: str, if_match: str | None = None) -> None:
        await self._send("DELETE", f"/{bucket}/{key}", None, _conditions(Conditions(if_match)))

    async def delete_many(self, bucket: str, listed: list[tuple[str, str | None]]) -> list:
        wishes = "".join(
            f"<Object><Key>{escape(key)}</Key>"
            + (f"<ETag>{etag}</ETag>" if etag is not None else "")
            + "</Object>"
            for key, etag in listed
        )
        body = f"<Delete>{wishes}</Delete>".encode()
        answer = await self._send("POST", f"/{bucket}", {"delete": ""}, None, body)
        deleted = [(one.findtext("Key"), "") for one in answer.document.iter("Deleted")]
        failed = [(e.findtext("Key"), e.findtext("Code")) for e in answer.document.iter("Error")]
        return sorted(deleted + failed)

    async def list(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        most: int = KEYS_MAX,
    ) -> Page:
        """By the second form of the operation; where a page ends, the first form must agree."""
        query = {"prefix": prefix, "delimiter": delimiter, "max-keys": most}
        second = await self._send(
            "GET", f"/{bucket}", {"list-type": 2, "start-after": after, **query}
        )
        page = _page_of(second)
        if page.is_truncated:
            first = await self._send("GET", f"/{bucket}", {"marker": after, **query})
            if _page_of(first) != page:
                raise AssertionError(f"ListObjects: {_page_of(first)}; ListObjectsV2: {page}")
        return page

    # --- uploads

    async def create_upload(self, bucket: str, key: str, description: Description = PLAIN) -> int:
        headers = _described(description)
        if description.algorithm:
            headers[f"{_SUM}algorithm"] = description.algorithm.upper()
        answer = await self._send("POST", f"/{bucket}/{key}", {"uploads": ""}, headers)
        self._upload_ids.append(answer.document.findtext("UploadId"))
        return len(self._upload_ids) - 1

    async def upload_part(
        self, bucket: str, key: str, upload: int, number: int, content: bytes
    ) -> str:
        query = {"uploadId": self._id(upload), "partNumber": number}
        return (await self._send("PUT", f"/{bucket}/{key}", query, None, content)).etag

    def _id(self, upload: int) -> str:
        """An upload that this client did not begin has an id that is nobody's."""
        return self._upload_ids[upload] if upload < len(self._upload_ids) else "f" * 32

    async def copy_part(
        self,
        source_bucket: str,
        source_key: str,
        bucket: str,
        key: str,
        upload: int,
        number: int,
        wanted: tuple[int, int] | None = None,
        source_conditions: Conditions = ALWAYS,
    ) -> str:
        headers = _copied(source_bucket, source_key, source_conditions)
        if wanted is not None:
            headers["x-amz-copy-source-range"] = f"bytes={wanted[0]}-{wanted[1]}"
        query = {"uploadId": self._id(upload), "partNumber": number}
        return _etag_in((await self._send("PUT", f"/{bucket}/{key}", query, headers)).document)

    async def complete(
        self,
        bucket: str,
        key: str,
        upload: int,
        listed: list[tuple[int, str]],
        conditions: Conditions = ALWAYS,
    ) -> tuple[str, dict[str, str]]:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in listed
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        query, headers = {"uploadId": self._id(upload)}, _conditions(conditions)
        answer = await self._send("POST", f"/{bucket}/{key}", query, headers, body)
        return _etag_in(answer.document), _sums_in(answer.document)

    async def abort(self, bucket: str, key: str, upload: int) -> None:
        await self._send("DELETE", f"/{bucket}/{key}", {"uploadId": self._id(upload)})

    async def list_parts(
        self, bucket: str, key: str, upload: int, after: int = 0, most: int = KEYS_MAX
    ) -> Page:
        query = {"uploadId": self._id(upload), "part-number-marker": after, "max-parts": most}
        document = (await self._send("GET", f"/{bucket}/{key}", query)).document
        entries = [_entry(part, "PartNumber") for part in document.iter("Part")]
        return Page(entries, [], _is_truncated(document))

    async def list_uploads(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        after_upload: int = 0,
        most: int = KEYS_MAX,
    ) -> Page:
        query = {"uploads": "", "prefix": prefix, "delimiter": delimiter, "key-marker": after}
        query |= {"max-uploads": most}
        if after_upload:
            query["upload-id-marker"] = self._id(after_upload)
        document = (await self._send("GET", f"/{bucket}", query)).document
        entries = [
            (found.findtext("Key"), self._upload_ids.index(found.findtext("UploadId")))
            for found in document.iter("Upload")
        ]
        return Page(entries, _prefixes(document), _is_truncated(document))


# --- requests


def _described(description: Description) -> dict[str, str]:
    metadata = {f"{_META}{name}": value for name, value in description.metadata.items()}
    return {**description.headers, **metadata}


def _conditions(conditions: Conditions, prefix: str = "") -> dict[str, str]:
    since = {
        "if-modified-since": conditions.modified_since_s,
        "if-unmodified-since": conditions.unmodified_since_s,
    }
    etags = {"if-match": conditions.if_match, "if-none-match": conditions.if_none_match}
    headers = {name: formatdate(at, usegmt=True) for name, at in since.items() if at is not None}
    headers |= {name: f'"{etag}"' for name, etag in etags.items() if etag not in (None, "*")}
    headers |= {name: "*" for name, etag in etags.items() if etag == "*"}
    return {prefix + name: value for name, value in headers.items()}


def _copied(bucket: str, key: str, conditions: Conditions) -> dict[str, str]:
    source = {"x-amz-copy-source": quote(f"/{bucket}/{key}")}
    return source | _conditions(conditions, "x-amz-copy-source-")


def _base64(algorithm: str, content: bytes) -> str:
    return b64encode(digest(algorithm, content)).decode()


# --- answers


def _etag_in(document: ElementTree.Element) -> str:
    return document.findtext("ETag").strip('"')


def _sums_in(document: ElementTree.Element) -> dict[str, str]:
    found = {e.tag.removeprefix("Checksum").lower(): e.text for e in document}
    return {name: text for name, text in found.items() if name in ("crc32", "sha256")}


def _page_of(answer: Answer) -> Page:
    document = answer.document
    entries = [_entry(found, "Key") for found in document.iter("Contents")]
    return Page(entries, _prefixes(document), _is_truncated(document))


def _entry(element: ElementTree.Element, name: str) -> Entry:
    modified = datetime.fromisoformat(element.findtext("LastModified"))
    return Entry(
        element.findtext(name),
        _etag_in(element),
        int(element.findtext("Size")),
        int(modified.timestamp()),
    )


def _prefixes(document: ElementTree.Element) -> list[str]:
    return [found.findtext("Prefix") for found in document.iter("CommonPrefixes")]


def _is_truncated(document: ElementTree.Element) -> bool:
    return document.findtext("IsTruncated") == "true"
