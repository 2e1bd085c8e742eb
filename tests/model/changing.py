"""What changes an object that is there, as the reference S3 has it: tags, renames, appends; and
what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping

from tests.model.checks import check_copied, check_destination, check_write, shown_sums
from tests.model.uploading import Uploading
from tests.model.values import (
    ALWAYS,
    PLAIN,
    Attributes,
    Conditions,
    Description,
    Object,
    Part,
    Refused,
    Tagged,
    Version,
    Written,
    etag_of_appended,
    md5,
    sums,
    sums_of_parts,
)

_CRCS = ("crc32",)  # a sum of the whole follows from those of its parts


class Changing(Uploading):
    """Operations that take an object as it is."""

    def object_of(self, content: bytes, description: Description) -> Object:
        """An object that is put as a whole."""
        headers, metadata, algorithm, tags, lock = description
        checksums, born = sums(algorithm, content), self.birth()
        said = headers, metadata, checksums, born, (), 0, tags
        return Object(content, md5(content), self.now_s, *said, lock=lock)

    # --- tags and attributes

    def get_tags(self, bucket: str, key: str, version: Version = None) -> Tagged:
        """The tags of a version."""
        found = self.find(bucket, key, version)
        return Tagged(found.tags, self.bucket(bucket).told(found))

    def put_tags(
        self, bucket: str, key: str, tags: Mapping[str, str], version: Version = None
    ) -> Version:
        """Replaces the tags of a version, which stays what it is."""
        found, kept = self.find(bucket, key, version), self.bucket(bucket)
        kept.swap(key, found, found._replace(tags=tags))
        return kept.told(found)

    def delete_tags(self, bucket: str, key: str, version: Version = None) -> Version:
        """Takes all tags away."""
        return self.put_tags(bucket, key, {}, version)

    def attributes(self, bucket: str, key: str, version: Version = None) -> Attributes:
        """What an object says of itself beside its bytes."""
        found = self.find(bucket, key, version)
        parts = [(it.number, len(it.content), shown_sums(found, it)) for it in found.parts]
        said = found.etag, len(found.content), found.checksums, parts or None, found.modified_s
        return Attributes(*said, self.bucket(bucket).told(found))

    # --- rename

    def rename(
        self,
        bucket: str,
        source: str,
        key: str,
        source_conditions: Conditions = ALWAYS,
        conditions: Conditions = ALWAYS,
        token: str = "",
    ) -> None:
        """Puts an object under another key. Asked again with the same token, it is done already."""
        kept = self.bucket(bucket)
        if source == key or kept.versioning:
            raise Refused("InvalidRequest")
        present = kept.current(key)
        asked = (token, source, source_conditions, conditions)
        if token and present is not None and present.renamed[:1] == (token,):
            if present.renamed != asked:
                raise Refused("IdempotencyParameterMismatch")
            return
        found = self.find(bucket, source)
        check_copied(found, source_conditions)
        check_destination(present, conditions)
        kept.remove(source, found)
        self.add(kept, key, found._replace(renamed=asked if token else ()))

    # --- append

    def append(
        self,
        bucket: str,
        key: str,
        offset: int,
        content: bytes,
        description: Description = PLAIN,
        conditions: Conditions = ALWAYS,
    ) -> Written:
        """Puts bytes behind those of an object, or makes one."""
        kept = self.bucket(bucket)
        if not content or kept.versioning or description.lock:
            raise Refused("InvalidRequest")
        present = kept.current(key)
        check_write(present, conditions)
        if offset != (len(present.content) if present is not None else 0):
            raise Refused("InvalidWriteOffset")
        if present is None:
            made = self.object_of(content, description)
        else:
            made = self._longer(present, content, description)
        made = self.add(kept, key, made)
        return Written(made.etag, made.checksums, None, None, len(made.content))

    def _longer(self, present: Object, content: bytes, description: Description) -> Object:
        """The object with one more part: bytes that are shared become one part of its own."""
        if description.metadata or description.tags:
            raise Refused("InvalidRequest")
        algorithm = next(iter(present.checksums), description.algorithm)
        if description.algorithm not in ("", algorithm):
            raise Refused("InvalidRequest")
        parts = present.parts
        if present.content and (not parts or present.is_shared):
            whole = {name: text for name, text in present.checksums.items() if "-" not in text}
            parts = (Part(1, present.content, whole, present.modified_s),)
        number = parts[-1].number + 1 if parts else 1
        parts += (Part(number, content, sums(algorithm, content), self.now_s),)
        return present._replace(
            content=present.content + content,
            etag=etag_of_appended(present.etag, content, len(parts)),
            modified_s=self.now_s,
            checksums=_sums_of_longer(present, content, parts),
            parts=parts,
            is_shared=False,
        )


def _sums_of_longer(present: Object, content: bytes, parts: tuple[Part, ...]) -> dict[str, str]:
    if not present.content:
        return parts[-1].checksums
    found: dict[str, str] = {}
    for name, text in present.checksums.items():
        if name in _CRCS and "-" not in text:
            found |= sums(name, present.content + content)
        elif all(name in part.checksums for part in parts):
            found |= sums_of_parts(name, parts)
    return found
