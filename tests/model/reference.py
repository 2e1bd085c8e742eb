"""A small S3: what its operations mean, in plain dicts, without a line of what is tested.

`Client` has the same methods; both answer with values of `values` or raise Refused. Time is what
`now_s` says. Where S3 leaves the order of checks open, it is the one of the server: what is wrong
with the request alone, then buckets, then the object read from, then the object replaced. As with
the server, a copy keeps etag and parts of an object that was made of parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from tests.model.values import (
    ALWAYS,
    KEYS_MAX,
    PLAIN,
    STATUS,
    Conditions,
    Description,
    Entry,
    Object,
    Page,
    Part,
    Refused,
    Seen,
    Upload,
    etag_of_parts,
    md5,
    sums,
    sums_of_parts,
)


class Reference:
    """Buckets, objects and uploads. `part_bytes_min` bounds all parts but the last."""

    def __init__(self, part_bytes_min: int) -> None:
        self.buckets: dict[str, dict[str, Object]] = {}
        self.uploads: dict[int, Upload] = {}
        self.uploads_begun = 0
        self.births = 0
        self.now_s = 0
        self._part_bytes_min = part_bytes_min

    def fork(self) -> Reference:
        """Another one in the same state, to try something on."""
        other = Reference(self._part_bytes_min)
        other.buckets = {name: dict(objects) for name, objects in self.buckets.items()}
        other.uploads = {n: it._replace(parts=dict(it.parts)) for n, it in self.uploads.items()}
        other.uploads_begun, other.births = self.uploads_begun, self.births
        other.now_s = self.now_s
        return other

    # --- buckets

    def create_bucket(self, bucket: str) -> None:
        """Makes a bucket; that it is there already is no error to its owner."""
        self.buckets.setdefault(bucket, {})

    def delete_bucket(self, bucket: str) -> None:
        """Deletes an empty bucket; uploads in it end."""
        if self._objects(bucket):
            raise Refused("BucketNotEmpty")
        del self.buckets[bucket]
        self._end_uploads(lambda upload: upload.bucket == bucket)

    def list_buckets(self) -> list[str]:
        """Their names."""
        return sorted(self.buckets)

    def _objects(self, bucket: str) -> dict[str, Object]:
        if bucket not in self.buckets:
            raise Refused("NoSuchBucket")
        return self.buckets[bucket]

    # --- objects

    def put(
        self,
        bucket: str,
        key: str,
        content: bytes,
        description: Description = PLAIN,
        conditions: Conditions = ALWAYS,
    ) -> tuple[str, dict[str, str]]:
        """Stores an object; answers etag and checksums."""
        objects = self._objects(bucket)
        check_write(objects.get(key), conditions)
        headers, metadata, algorithm = description
        checksums = sums(algorithm, content)
        born = self._birth()
        objects[key] = Object(content, md5(content), self.now_s, headers, metadata, checksums, born)
        return objects[key].etag, checksums

    def _birth(self) -> int:
        self.births += 1
        return self.births

    def find(self, bucket: str, key: str) -> Object:
        """The object. Raises NoSuchKey."""
        found = self._objects(bucket).get(key)
        if found is None:
            raise Refused("NoSuchKey")
        return found

    def get(
        self,
        bucket: str,
        key: str,
        wanted: str = "",
        conditions: Conditions = ALWAYS,
        part: int = 0,
    ) -> Seen:
        """Reads an object, the range `wanted` of it (of the form 0-99, 5- or -5), or a part."""
        found = self.find(bucket, key)
        check_read(found, conditions)
        size = len(found.content)
        checksums = found.checksums
        if part:
            first, last, checksums = _part_of(found, part)
        elif wanted:
            (first, last), checksums = _range(wanted, size), {}
        else:
            first, last = 0, size
        is_partial = (bool(part) and first < last) or bool(wanted)
        return Seen(
            found.content[first:last],
            last - first,
            f"bytes {first}-{last - 1}/{size}" if is_partial else "",
            found.etag,
            found.modified_s,
            {"content-type": "binary/octet-stream", **found.headers},
            found.metadata,
            checksums,
            len(found.parts) if part else 0,
        )

    def head(self, *arguments) -> Seen:
        """What `get` answers, without the bytes."""
        try:
            return self.get(*arguments)._replace(body=b"")
        except Refused as error:
            raise Refused(STATUS[error.code]) from None

    def copy(
        self,
        source_bucket: str,
        source_key: str,
        bucket: str,
        key: str,
        replaced: Description | None = None,
        source_conditions: Conditions = ALWAYS,
        conditions: Conditions = ALWAYS,
    ) -> tuple[str, dict[str, str]]:
        """Copies an object with what is said of it, or with what `replaced` says."""
        objects, _ = self._objects(bucket), self._objects(source_bucket)
        if (source_bucket, source_key) == (bucket, key) and replaced is None:
            raise Refused("InvalidRequest")
        source = self.find(source_bucket, source_key)
        check_write(objects.get(key), conditions)
        check_copied(source, source_conditions)
        copied = source._replace(modified_s=self.now_s)
        if replaced is not None:
            copied = copied._replace(headers=replaced.headers, metadata=replaced.metadata)
            if replaced.algorithm:
                copied = copied._replace(checksums=sums(replaced.algorithm, source.content))
        objects[key] = copied
        return copied.etag, copied.checksums

    def delete(self, bucket: str, key: str, if_match: str | None = None) -> None:
        """Deletes an object; one that is not there is no error."""
        objects = self._objects(bucket)
        check_write(objects.get(key), Conditions(if_match))
        objects.pop(key, None)

    def delete_many(self, bucket: str, listed: list[tuple[str, str | None]]) -> list:
        """Deletes keys, each with an etag to match or None; answers keys and codes, sorted."""
        self._objects(bucket)
        answers = []
        for key, if_match in listed:
            try:
                self.delete(bucket, key, if_match)
                answers.append((key, ""))
            except Refused as error:
                answers.append((key, error.code))
        return sorted(answers)

    def list(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        most: int = KEYS_MAX,
    ) -> Page:
        """The objects and common prefixes whose names are greater than `after`."""
        objects = self._objects(bucket)
        found = _folded(objects, prefix, delimiter, after)
        entries = [
            Entry(key, objects[key].etag, len(objects[key].content), objects[key].modified_s)
            for key, is_prefix in found[:most]
            if not is_prefix
        ]
        prefixes = [name for name, is_prefix in found[:most] if is_prefix]
        return Page(entries, prefixes, len(found) > most > 0)

    # --- uploads

    def create_upload(self, bucket: str, key: str, description: Description = PLAIN) -> int:
        """Begins an upload; answers its number."""
        self._objects(bucket)
        self.uploads_begun += 1
        self.uploads[self.uploads_begun] = Upload(bucket, key, description, self.now_s, {})
        return self.uploads_begun

    def _upload(self, bucket: str, key: str, number: int) -> Upload:
        self._objects(bucket)
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
    ) -> str:
        """Stores a part that has the bytes of an object, from a first to a last one."""
        self._upload(bucket, key, upload)
        source = self.find(source_bucket, source_key)
        check_copied(source, source_conditions)
        first, last = wanted if wanted is not None else (0, len(source.content) - 1)
        if last >= len(source.content) and wanted is not None:
            raise Refused("InvalidArgument")
        return self.upload_part(bucket, key, upload, number, source.content[first : last + 1])

    def complete(
        self,
        bucket: str,
        key: str,
        upload: int,
        listed: list[tuple[int, str]],
        conditions: Conditions = ALWAYS,
    ) -> tuple[str, dict[str, str]]:
        """Makes an object of parts; asked again, it answers what was made while that is there."""
        if not listed:
            raise Refused("MalformedXML")
        objects = self._objects(bucket)
        if any(one >= other for (one, _), (other, _) in pairwise(listed)):
            raise Refused("InvalidPartOrder")
        etag = etag_of_parts(etag for _, etag in listed)
        present = objects.get(key)
        if (
            upload not in self.uploads
            and present
            and (present.upload, present.etag) == (upload, etag)
        ):
            return etag, present.checksums
        found = self._upload(bucket, key, upload)
        check_write(present, conditions)
        parts = tuple(self._listed(found, number, etag) for number, etag in listed)
        if any(len(part.content) < self._part_bytes_min for part in parts[:-1]):
            raise Refused("EntityTooSmall")
        del self.uploads[upload]
        headers, metadata, algorithm = found.description
        checksums = sums_of_parts(algorithm, parts)
        whole = b"".join(part.content for part in parts)
        born = self._birth()
        objects[key] = Object(
            whole, etag, self.now_s, headers, metadata, checksums, born, parts, upload
        )
        return etag, checksums

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
        self._objects(bucket)
        begun: dict[str, list[int]] = {}
        for number, upload in sorted(self.uploads.items()):
            if upload.bucket == bucket:
                begun.setdefault(upload.key, []).append(number)
        rest = [n for n in begun.get(after, []) if n > after_upload] if after_upload else []
        is_folded = delimiter and delimiter in after[len(prefix) :]
        found: list[tuple[str, int]] = []
        if rest and after.startswith(prefix) and not is_folded:
            found += [(after, number) for number in rest]
        for name, is_prefix in _folded(begun, prefix, delimiter, after):
            found += [(name, 0)] if is_prefix else [(name, number) for number in begun[name]]
        page = found[:most]
        entries = [entry for entry in page if entry[1]]
        return Page(entries, [name for name, number in page if not number], len(found) > most)

    def expire_uploads(self, age_s: int) -> None:
        """Ends uploads that are so old: what a rule of the life cycle does."""
        self._end_uploads(lambda upload: upload.begun_s <= self.now_s - age_s)

    def _end_uploads(self, ends: Callable[[Upload], bool]) -> None:
        self.uploads = {n: upload for n, upload in self.uploads.items() if not ends(upload)}


def check_write(present: Object | None, conditions: Conditions) -> None:
    """Conditions on the object that a write replaces."""
    if conditions.if_match is not None:
        if present is None:
            raise Refused("NoSuchKey")
        if conditions.if_match not in ("*", present.etag):
            raise Refused("PreconditionFailed")
    if present is not None and conditions.if_none_match in ("*", present.etag):
        raise Refused("PreconditionFailed")


def check_read(found: Object, conditions: Conditions) -> None:
    """Conditions on an object that is read: a time counts where its etag is not given."""
    if_match, if_none_match, modified_since_s, unmodified_since_s = conditions
    if if_match is not None:
        if if_match not in ("*", found.etag):
            raise Refused("PreconditionFailed")
    elif unmodified_since_s is not None and found.modified_s > unmodified_since_s:
        raise Refused("PreconditionFailed")
    if if_none_match is not None:
        if if_none_match in ("*", found.etag):
            raise Refused("304")
    elif modified_since_s is not None and found.modified_s <= modified_since_s:
        raise Refused("304")


def check_copied(source: Object, conditions: Conditions) -> None:
    """Conditions on the source of a copy."""
    try:
        check_read(source, conditions)
    except Refused:
        raise Refused("PreconditionFailed") from None


def _range(wanted: str, size: int) -> tuple[int, int]:
    """First byte and the one behind the last."""
    left, _, right = wanted.partition("-")
    if left:
        first, last = int(left), min(int(right) + 1 if right else size, size)
    else:
        first, last = max(size - int(right), 0), size
    if first >= last:
        raise Refused("InvalidRange")
    return first, last


def _part_of(found: Object, number: int) -> tuple[int, int, dict[str, str]]:
    """Where a part lies in its object, and its checksums; what was put is one part."""
    if not found.parts and number == 1:
        return 0, len(found.content), found.checksums
    at = 0
    for part in found.parts:
        if part.number == number:
            kept = part.checksums if found.checksums else {}
            return at, at + len(part.content), kept
        at += len(part.content)
    raise Refused("InvalidPartNumber")


def _folded(keys: Iterable[str], prefix: str, delimiter: str, after: str) -> list[tuple[str, bool]]:
    """Names behind `after` in byte order, and whether each is a common prefix."""
    found = set()
    for key in keys:
        if key.startswith(prefix):
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            found.add((key[: at + len(delimiter)], True) if at >= 0 else (key, False))
    behind = [entry for entry in found if entry[0].encode() > after.encode()]
    return sorted(behind, key=lambda entry: entry[0].encode())
