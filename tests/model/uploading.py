"""Uploads in parts, as the reference S3 has them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from tests.model.checks import check_copied, check_write, folded
from tests.model.locking import Locking
from tests.model.values import (
    ALWAYS,
    KEYS_MAX,
    NULL,
    PLAIN,
    Conditions,
    Description,
    Entry,
    Object,
    Page,
    Part,
    Refused,
    Upload,
    Version,
    Written,
    etag_of_parts,
    sums,
    sums_of_parts,
)


class Uploading(Locking):
    """Operations on uploads; each is called by its number."""

    def create_upload(self, bucket: str, key: str, description: Description = PLAIN) -> int:
        """Begins an upload; answers its number."""
        self.check_stated(self.bucket(bucket), description.lock)
        self.uploads_begun += 1
        self.uploads[self.uploads_begun] = Upload(bucket, key, description, self.now_s, {})
        return self.uploads_begun

    def _upload(self, bucket: str, key: str, number: int) -> Upload:
        self.bucket(bucket)
        upload = self.uploads.get(number)
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            raise Refused("NoSuchUpload")
        return upload

    def upload_part(self, bucket: str, key: str, upload: int, number: int, content: bytes) -> str:
        """Stores a part, or another one in its place; answers its etag."""
        described = self._upload(bucket, key, upload)
        part = Part(number, content, sums(described.description.algorithm, content), self.now_s)
        described.parts[number] = part
        return part.etag

    def copy_part(
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
        """Stores a part that has the bytes of an object, from a first to a last one."""
        self._upload(bucket, key, upload)
        source = self.find_source(source_bucket, source_key, source_version)
        check_copied(source, source_conditions)
        first, last = wanted if wanted is not None else (0, len(source.content) - 1)
        if last >= len(source.content) and wanted is not None:
            raise Refused("InvalidArgument")
        content = source.content[first : last + 1]
        etag = self.upload_part(bucket, key, upload, number, content)
        told = self.bucket(source_bucket).told(source)
        return Written(etag, self.uploads[upload].parts[number].checksums, None, told)

    def complete(
        self,
        bucket: str,
        key: str,
        upload: int,
        listed: list[tuple[int, str]],
        conditions: Conditions = ALWAYS,
    ) -> Written:
        """Makes an object of parts; asked again, it answers what was made while that is there."""
        if not listed:
            raise Refused("MalformedXML")
        kept = self.bucket(bucket)
        if any(one >= other for (one, _), (other, _) in pairwise(listed)):
            raise Refused("InvalidPartOrder")
        etag = etag_of_parts(etag for _, etag in listed)
        present = kept.current(key)
        if (
            upload not in self.uploads
            and present
            and (present.upload, present.etag) == (upload, etag)
        ):
            return Written(etag, present.checksums, made_version(present))
        found = self._upload(bucket, key, upload)
        check_write(present, conditions)
        parts = tuple(self._listed(found, number, etag) for number, etag in listed)
        if any(len(part.content) < self.part_bytes_min for part in parts[:-1]):
            raise Refused("EntityTooSmall")
        del self.uploads[upload]
        headers, metadata, algorithm, tags, lock = found.description
        checksums = sums_of_parts(algorithm, parts)
        whole = b"".join(part.content for part in parts)
        said = headers, metadata, checksums, self.birth(), parts, upload, tags
        object = Object(whole, etag, self.now_s, *said, lock=lock)
        made = self.add(kept, key, object)
        return Written(etag, checksums, made_version(made))

    def _listed(self, upload: Upload, number: int, etag: str) -> Part:
        part = upload.parts.get(number)
        if part is None or part.etag != etag:
            raise Refused("InvalidPart")
        return part

    def abort(self, bucket: str, key: str, upload: int) -> None:
        """Ends an upload without an object."""
        self._upload(bucket, key, upload)
        del self.uploads[upload]

    def list_parts(self, bucket: str, key: str, upload: int, after: int = 0, most: int = KEYS_MAX):
        """The parts whose numbers are greater than `after`."""
        parts = self._upload(bucket, key, upload).parts
        found = [
            Entry(str(number), part.etag, len(part.content), part.modified_s)
            for number, part in sorted(parts.items())
            if number > after
        ]
        return Page(found[:most], [], len(found) > most)

    def list_uploads(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        after_upload: int = 0,
        most: int = KEYS_MAX,
    ) -> Page:
        """Open uploads by key and beginning: those behind `after`, or of it behind an upload."""
        self.bucket(bucket)
        begun: dict[str, list[int]] = {}
        for number, upload in sorted(self.uploads.items()):
            if upload.bucket == bucket:
                begun.setdefault(upload.key, []).append(number)
        rest = [n for n in begun.get(after, []) if n > after_upload] if after_upload else []
        is_folded = delimiter and delimiter in after[len(prefix) :]
        found: list[tuple[str, int]] = []
        if rest and after.startswith(prefix) and not is_folded:
            found += [(after, number) for number in rest]
        for name, is_prefix in folded(begun, prefix, delimiter, after):
            found += [(name, 0)] if is_prefix else [(name, number) for number in begun[name]]
        page = found[:most]
        entries = [entry for entry in page if entry[1]]
        return Page(entries, [name for name, number in page if not number], len(found) > most)

    def expire_uploads(self, age_s: int) -> None:
        """Ends uploads that are so old: what a rule of the life cycle does."""
        self.end_uploads(lambda upload: upload.begun_s <= self.now_s - age_s)

    def end_uploads(self, ends: Callable[[Upload], bool]) -> None:
        """Ends those that `ends` holds of."""
        self.uploads = {n: upload for n, upload in self.uploads.items() if not ends(upload)}

    def find_source(self, bucket: str, key: str, version: Version) -> Object:
        """What is copied from: a delete marker cannot be. Raises what `find` raises."""
        try:
            return self.find(bucket, key, version)
        except Refused as error:
            if error.code == "MethodNotAllowed":
                raise Refused("InvalidRequest") from None
            raise


def made_version(made: Object) -> Version:
    """The version that a write tells of: not of the null version."""
    return made.version if made.version != NULL else None
