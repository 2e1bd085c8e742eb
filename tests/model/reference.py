"""A small S3: what its operations mean, in plain dicts, without a line of what is tested.

`Client` has the same methods; both answer with values of `values` or raise Refused. Where S3 leaves
the order of checks open, it is the one of the server: what is wrong with the request alone, then
buckets, then the object read from, then the object replaced. As with the server, a copy keeps etag
and parts of an object that was made of parts.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.model.changing import Changing
from tests.model.checks import check_copied, check_read, check_write, folded, part_of, range_of
from tests.model.expiring import Expiring
from tests.model.keeping import Bucket
from tests.model.uploading import made_version
from tests.model.values import (
    ALWAYS,
    KEYS_MAX,
    PLAIN,
    STATUS,
    Conditions,
    Deleted,
    Description,
    Entry,
    ListedVersion,
    Lock,
    Object,
    Page,
    Refused,
    Seen,
    Version,
    VersionPage,
    Written,
    sums,
)


class Reference(Changing, Expiring):
    """Operations on buckets and objects."""

    # --- buckets

    def create_bucket(self, bucket: str) -> None:
        """Makes a bucket; that it is there already is no error to its owner."""
        self.buckets.setdefault(bucket, Bucket())

    def delete_bucket(self, bucket: str) -> None:
        """Deletes an empty bucket; uploads in it end."""
        if self.bucket(bucket).keys:
            raise Refused("BucketNotEmpty")
        del self.buckets[bucket]
        self.end_uploads(lambda upload: upload.bucket == bucket)

    def list_buckets(self) -> list[str]:
        """Their names."""
        return sorted(self.buckets)

    def set_versioning(self, bucket: str, status: str) -> None:
        """Has versions kept from now on, or no longer."""
        kept = self.bucket(bucket)
        if kept.lock is not None and status != kept.versioning:
            raise Refused("InvalidBucketState")
        kept.versioning = status

    def get_versioning(self, bucket: str) -> str:
        """Whether versions are kept; "" where they never were."""
        return self.bucket(bucket).versioning

    # --- objects

    def put(
        self,
        bucket: str,
        key: str,
        content: bytes,
        description: Description = PLAIN,
        conditions: Conditions = ALWAYS,
    ) -> Written:
        """Stores an object."""
        kept = self.bucket(bucket)
        self.check_stated(kept, description.lock)
        self.check_digest(kept, description)
        check_write(kept.current(key), conditions)
        made = self.add(kept, key, self.object_of(content, description))
        return Written(made.etag, made.checksums, made_version(made))

    def get(
        self,
        bucket: str,
        key: str,
        wanted: str = "",
        conditions: Conditions = ALWAYS,
        part: int = 0,
        version: Version = None,
    ) -> Seen:
        """Reads an object, the range `wanted` of it (of the form 0-99, 5- or -5), or a part."""
        found = self.find(bucket, key, version)
        check_read(found, conditions)
        size = len(found.content)
        checksums = found.checksums
        if part:
            first, last, checksums = part_of(found, part)
        elif wanted:
            (first, last), checksums = range_of(wanted, size), {}
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
            len(found.tags),
            self.bucket(bucket).told(found),
            found.lock if found.lock != Lock() else None,
            self.expires_s(bucket, key, found) if version is None else None,
        )

    def head(self, *arguments) -> Seen:
        """What `get` answers, without the bytes."""
        try:
            return self.get(*arguments)._replace(body=b"")
        except Refused as error:
            raise Refused(STATUS[error.code], error.marker) from None

    def copy(
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
        """Copies an object with what is said of it, or with what `replaced` says.

        Tags are taken along, unless others are named.
        """
        kept, origin = self.bucket(bucket), self.bucket(source_bucket)
        lock = replaced.lock if replaced is not None else None
        self.check_stated(kept, lock)
        is_same = (source_bucket, source_key) == (bucket, key)
        if is_same and source_version is None and replaced is None:
            raise Refused("InvalidRequest")
        source = self.find_source(source_bucket, source_key, source_version)
        check_write(kept.current(key), conditions)
        check_copied(source, source_conditions)
        copied = source._replace(modified_s=self.now_s, renamed=(), lock=lock)
        if replaced is not None:
            copied = copied._replace(headers=replaced.headers, metadata=replaced.metadata)
            if replaced.algorithm:
                copied = copied._replace(checksums=sums(replaced.algorithm, source.content))
        if tags is not None:
            copied = copied._replace(tags=tags)
        if kept.replaced(key) is not source:  # else there is still one of them
            origin.swap(source_key, source, source._replace(is_shared=True))
            copied = copied._replace(is_shared=True)
        made = self.add(kept, key, copied)
        return Written(made.etag, made.checksums, made_version(made), origin.told(source))

    def delete(
        self,
        bucket: str,
        key: str,
        if_match: str | None = None,
        version: Version = None,
        bypass: bool = False,
    ) -> Deleted:
        """Deletes an object, or a version; one that is not there is no error.

        Where versions are kept, an object stays behind a delete marker.
        """
        kept = self.bucket(bucket)
        if version is not None:
            return self._delete_version(kept, key, version, bypass)
        check_write(kept.current(key), Conditions(if_match))
        marker = self.end(kept, key)
        return Deleted() if marker is None else Deleted(marker.version, True)

    def _delete_version(self, kept: Bucket, key: str, version: Version, bypass: bool) -> Deleted:
        found = kept.version(key, version)
        if found is not None:
            self.check_removal(found, bypass)
            kept.remove(key, found)
        if not kept.versioning:
            return Deleted()
        return Deleted(version, found is not None and found.is_marker)

    def delete_many(
        self, bucket: str, listed: list[tuple[str, str | None, Version]], bypass: bool = False
    ) -> list:
        """Deletes keys, each with an etag to match and a version, or None.

        Answers by key: the version that was asked for, the code of an error or "", and the delete
        marker that came or went.
        """
        self.bucket(bucket)
        deleted, failed = [], []
        for key, if_match, version in listed:
            try:
                done = self.delete(bucket, key, if_match, version, bypass)
                marker = done.version if done.is_marker else None
                deleted.append((key, version, "", marker))
            except Refused as error:
                failed.append((key, version, error.code, None))
        return sorted(deleted + failed, key=lambda it: it[0])

    # --- listings

    def list(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        most: int = KEYS_MAX,
    ) -> Page:
        """The objects and common prefixes whose names are greater than `after`."""
        objects = self.bucket(bucket).objects
        found = folded(objects, prefix, delimiter, after)
        entries = [
            Entry(key, objects[key].etag, len(objects[key].content), objects[key].modified_s)
            for key, is_prefix in found[:most]
            if not is_prefix
        ]
        prefixes = [name for name, is_prefix in found[:most] if is_prefix]
        return Page(entries, prefixes, len(found) > most > 0)

    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        after: str = "",
        after_version: Version = None,
        most: int = KEYS_MAX,
    ) -> VersionPage:
        """Versions, delete markers and common prefixes: by key, then the newest first.

        Those of keys greater than `after`, and of it behind `after_version`.
        """
        kept = self.bucket(bucket).keys
        rest: list[Object] = []
        is_folded = delimiter and delimiter in after[len(prefix) :]
        if after_version is not None and after.startswith(prefix) and not is_folded:
            versions = [one.version for one in kept.get(after, [])]
            if after_version in versions:
                rest = kept[after][versions.index(after_version) + 1 :]
        found: list[tuple[str, Object | None]] = [(after, one) for one in rest]
        for name, is_prefix in folded(kept, prefix, delimiter, after):
            found += [(name, None)] if is_prefix else [(name, one) for one in kept[name]]
        page = found[:most]
        is_truncated = len(found) > most > 0
        last, newest = page[-1] if is_truncated else (None, None)
        return VersionPage(
            [_listed(key, one, kept[key][0]) for key, one in page if one is not None],
            [name for name, one in page if one is None],
            is_truncated,
            last,
            newest and newest.version,
        )


def _listed(key: str, found: Object, newest: Object) -> ListedVersion:
    said = (None, None) if found.is_marker else (found.etag, len(found.content))
    return ListedVersion(key, found.version, found is newest, found.modified_s, *said)
