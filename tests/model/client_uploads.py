"""Uploads in parts, by requests: the same methods as the reference S3."""

from __future__ import annotations

from tests.model.sending import SUM, Sender
from tests.model.values import (
    ALWAYS,
    KEYS_MAX,
    PLAIN,
    Conditions,
    Description,
    Page,
    Version,
    Written,
)
from tests.model.wire import conditioned, copied, described, entry, is_truncated, prefixes, written


class Uploads(Sender):
    """Operations on uploads; each is called by the number that the reference has for it."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self._upload_ids = ["0" * 32]

    async def create_upload(self, bucket: str, key: str, description: Description = PLAIN) -> int:
        headers = described(description)
        if description.algorithm:
            headers[f"{SUM}algorithm"] = description.algorithm.upper()
        answer = await self.send("POST", f"/{bucket}/{key}", {"uploads": ""}, headers)
        self._upload_ids.append(answer.document.findtext("UploadId"))
        return len(self._upload_ids) - 1

    async def upload_part(
        self, bucket: str, key: str, upload: int, number: int, content: bytes
    ) -> str:
        query = {"uploadId": self._id(upload), "partNumber": number}
        return (await self.send("PUT", f"/{bucket}/{key}", query, None, content)).etag

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
        source_version: Version = None,
    ) -> Written:
        version = self.id_of(source_version) if source_version is not None else ""
        headers = copied(source_bucket, source_key, version, source_conditions)
        if wanted is not None:
            headers["x-amz-copy-source-range"] = f"bytes={wanted[0]}-{wanted[1]}"
        query = {"uploadId": self._id(upload), "partNumber": number}
        return written(await self.send("PUT", f"/{bucket}/{key}", query, headers))

    async def complete(
        self,
        bucket: str,
        key: str,
        upload: int,
        listed: list[tuple[int, str]],
        conditions: Conditions = ALWAYS,
    ) -> Written:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            for number, etag in listed
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        query, headers = {"uploadId": self._id(upload)}, conditioned(conditions)
        return written(await self.send("POST", f"/{bucket}/{key}", query, headers, body))

    async def abort(self, bucket: str, key: str, upload: int) -> None:
        await self.send("DELETE", f"/{bucket}/{key}", {"uploadId": self._id(upload)})

    async def list_parts(
        self, bucket: str, key: str, upload: int, after: int = 0, most: int = KEYS_MAX
    ) -> Page:
        query = {"uploadId": self._id(upload), "part-number-marker": after, "max-parts": most}
        document = (await self.send("GET", f"/{bucket}/{key}", query)).document
        entries = [entry(part, "PartNumber") for part in document.iter("Part")]
        return Page(entries, [], is_truncated(document))

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
        document = (await self.send("GET", f"/{bucket}", query)).document
        entries = [
            (found.findtext("Key"), self._upload_ids.index(found.findtext("UploadId")))
            for found in document.iter("Upload")
        ]
        return Page(entries, prefixes(document), is_truncated(document))
