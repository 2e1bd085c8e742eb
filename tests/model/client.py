"""The same methods as the reference S3, each a request to the S3 application in this process."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode
from xml.sax.saxutils import escape

from tests.model.client_lifecycle import Lifecycle
from tests.model.client_locks import bypassing
from tests.model.sending import SUM
from tests.model.values import (
    ALWAYS,
    KEYS_MAX,
    PLAIN,
    Attributes,
    Conditions,
    Deleted,
    Description,
    Page,
    Seen,
    Tagged,
    Version,
    VersionPage,
    Written,
)
from tests.model.wire import (
    META,
    attributes_of,
    base64,
    conditioned,
    copied,
    described,
    expiry_of,
    lock_of,
    page_of,
    versions_of,
    written,
)

_STORED = ("content-type", "cache-control", "content-encoding")


class Client(Lifecycle):
    """Operations on buckets and objects."""

    # --- buckets

    async def create_bucket(self, bucket: str) -> None:
        await self.send("PUT", f"/{bucket}")

    async def delete_bucket(self, bucket: str) -> None:
        await self.send("DELETE", f"/{bucket}")

    async def list_buckets(self) -> list[str]:
        answer = await self.send("GET", "/")
        return [element.text for element in answer.document.iter("Name")]

    async def set_versioning(self, bucket: str, status: str) -> None:
        body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"
        await self.send("PUT", f"/{bucket}", {"versioning": ""}, None, body.encode())

    async def get_versioning(self, bucket: str) -> str:
        answer = await self.send("GET", f"/{bucket}", {"versioning": ""})
        return answer.document.findtext("Status", "")

    # --- objects

    async def put(
        self,
        bucket: str,
        key: str,
        content: bytes,
        description: Description = PLAIN,
        conditions: Conditions = ALWAYS,
    ) -> Written:
        headers = described(description) | conditioned(conditions)
        if description.algorithm:
            headers[f"{SUM}{description.algorithm}"] = base64(description.algorithm, content)
        answer = await self.send("PUT", f"/{bucket}/{key}", None, headers, content)
        return Written(answer.etag, answer.checksums, answer.version)

    async def get(
        self,
        bucket: str,
        key: str,
        wanted: str = "",
        conditions: Conditions = ALWAYS,
        part: int = 0,
        version: Version = None,
        *,
        method: str = "GET",
    ) -> Seen:
        headers = {"x-amz-checksum-mode": "ENABLED", **conditioned(conditions)}
        if wanted and not part:
            headers["range"] = f"bytes={wanted}"
        query = ({"partNumber": part} if part else {}) | self.named(version)
        answer = await self.send(method, f"/{bucket}/{key}", query, headers)
        told = answer.headers
        assert (answer.status == 206) == ("content-range" in told)
        return Seen(
            answer.body,
            int(told["content-length"]),
            told.get("content-range", ""),
            answer.etag,
            int(parsedate_to_datetime(told["last-modified"]).timestamp()),
            {name: told[name] for name in _STORED if name in told},
            answer.headers_of(META),
            answer.checksums,
            int(told.get("x-amz-mp-parts-count", 0)),
            int(told.get("x-amz-tagging-count", 0)),
            answer.version,
            lock_of(answer),
            expiry_of(answer),
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
        source_version: Version = None,
        tags: Mapping[str, str] | None = None,
    ) -> Written:
        version = self.id_of(source_version) if source_version is not None else ""
        headers = copied(source_bucket, source_key, version, source_conditions)
        headers |= conditioned(conditions)
        if replaced is not None:
            headers |= {"x-amz-metadata-directive": "REPLACE", **described(replaced)}
            if replaced.algorithm:
                headers[f"{SUM}algorithm"] = replaced.algorithm.upper()
        if tags is not None:
            headers |= {"x-amz-tagging-directive": "REPLACE", "x-amz-tagging": urlencode(tags)}
        return written(await self.send("PUT", f"/{bucket}/{key}", None, headers))

    async def delete(
        self,
        bucket: str,
        key: str,
        if_match: str | None = None,
        version: Version = None,
        bypass: bool = False,
    ) -> Deleted:
        headers = conditioned(Conditions(if_match)) | bypassing(bypass)
        answer = await self.send("DELETE", f"/{bucket}/{key}", self.named(version), headers)
        return Deleted(answer.version, answer.is_marker)

    async def delete_many(
        self, bucket: str, listed: list[tuple[str, str | None, Version]], bypass: bool = False
    ) -> list:
        body = f"<Delete>{''.join(map(self._wish, listed))}</Delete>".encode()
        answer = await self.send("POST", f"/{bucket}", {"delete": ""}, bypassing(bypass), body)
        done = [
            (
                found.findtext("Key"),
                found.findtext("VersionId"),
                found.findtext("Code", ""),
                found.findtext("DeleteMarkerVersionId"),
            )
            for name in ("Deleted", "Error")
            for found in answer.document.iter(name)
        ]
        return sorted(done, key=lambda it: it[0])

    def _wish(self, wish: tuple[str, str | None, Version]) -> str:
        key, etag, version = wish
        text = f"<Key>{escape(key)}</Key>"
        if etag is not None:
            text += f"<ETag>{etag}</ETag>"
        if version is not None:
            text += f"<VersionId>{self.id_of(version)}</VersionId>"
        return f"<Object>{text}</Object>"

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
        second = await self.send(
            "GET", f"/{bucket}", {"list-type": 2, "start-after": after, **query}
        )
        page = page_of(second)
        if page.is_truncated:
            first = await self.send("GET", f"/{bucket}", {"marker": after, **query})
            if page_of(first) != page:
                raise AssertionError(f"ListObjects: {page_of(first)}; ListObjectsV2: {page}")
        return page

    async def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        after_version: Version = None,
        most: int = KEYS_MAX,
    ) -> VersionPage:
        query = {"versions": "", "prefix": prefix, "delimiter": delimiter, "max-keys": most}
        query["key-marker"] = after
        if after_version is not None:
            query["version-id-marker"] = self.id_of(after_version)
        return versions_of(await self.send("GET", f"/{bucket}", query))

    # --- what changes an object that is there

    async def get_tags(self, bucket: str, key: str, version: Version = None) -> Tagged:
        query = {"tagging": ""} | self.named(version)
        answer = await self.send("GET", f"/{bucket}/{key}", query)
        tags = {tag.findtext("Key"): tag.findtext("Value") for tag in answer.document.iter("Tag")}
        return Tagged(tags, answer.version)

    async def put_tags(
        self, bucket: str, key: str, tags: Mapping[str, str], version: Version = None
    ) -> Version:
        said = "".join(
            f"<Tag><Key>{escape(name)}</Key><Value>{escape(text)}</Value></Tag>"
            for name, text in tags.items()
        )
        body = f"<Tagging><TagSet>{said}</TagSet></Tagging>".encode()
        query = {"tagging": ""} | self.named(version)
        return (await self.send("PUT", f"/{bucket}/{key}", query, None, body)).version

    async def delete_tags(self, bucket: str, key: str, version: Version = None) -> Version:
        query = {"tagging": ""} | self.named(version)
        return (await self.send("DELETE", f"/{bucket}/{key}", query)).version

    async def attributes(self, bucket: str, key: str, version: Version = None) -> Attributes:
        headers = {"x-amz-object-attributes": "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"}
        query = {"attributes": ""} | self.named(version)
        answer = await self.send("GET", f"/{bucket}/{key}", query, headers)
        return attributes_of(answer)

    async def rename(
        self,
        bucket: str,
        source: str,
        key: str,
        source_conditions: Conditions = ALWAYS,
        conditions: Conditions = ALWAYS,
        token: str = "",
    ) -> None:
        headers = {"x-amz-rename-source": quote(source)} | conditioned(conditions)
        headers |= conditioned(source_conditions, "x-amz-rename-source-")
        if token:
            headers["x-amz-client-token"] = token
        await self.send("PUT", f"/{bucket}/{key}", {"renameObject": ""}, headers)

    async def append(
        self,
        bucket: str,
        key: str,
        offset: int,
        content: bytes,
        description: Description = PLAIN,
        conditions: Conditions = ALWAYS,
    ) -> Written:
        headers = {"x-amz-write-offset-bytes": str(offset)} | described(description)
        headers |= conditioned(conditions)
        if description.algorithm:
            headers[f"{SUM}{description.algorithm}"] = base64(description.algorithm, content)
        answer = await self.send("PUT", f"/{bucket}/{key}", None, headers, content)
        size = int(answer.headers["x-amz-object-size"])
        return Written(answer.etag, answer.checksums, answer.version, None, size)
