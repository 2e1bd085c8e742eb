"""What the reference S3 keeps: buckets, the versions of their keys, and uploads; plain lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

from tests.model.values import (
    NULL,
    Default,
    LifecycleRule,
    Object,
    Refused,
    Upload,
    Version,
    VersionNumber,
)

ENABLED, SUSPENDED = "Enabled", "Suspended"
Self = TypeVar("Self", bound="Keeping")


class Bucket:
    """A bucket. `keys` holds what each key has, the newest first; there is no key with nothing.

    `lock` is None where its objects cannot be locked.
    """

    def __init__(self) -> None:
        self.versioning = ""
        self.keys: dict[str, list[Object]] = {}
        self.lock: Default | None = None
        self.rules: list[LifecycleRule] = []

    def fork(self) -> Bucket:
        """Another one in the same state."""
        other = Bucket()
        other.__dict__.update(self.__dict__)
        other.keys = {key: list(stack) for key, stack in self.keys.items()}
        return other

    @property
    def objects(self) -> dict[str, Object]:
        """The current objects: a delete marker is none."""
        return {key: stack[0] for key, stack in self.keys.items() if not stack[0].is_marker}

    def current(self, key: str) -> Object | None:
        """The current object."""
        stack = self.keys.get(key)
        return stack[0] if stack and not stack[0].is_marker else None

    def version(self, key: str, version: Version) -> Object | None:
        """The version, or delete marker, with that id."""
        return next((one for one in self.keys.get(key, []) if one.version == version), None)

    def told(self, found: Object) -> Version:
        """The version as answers name it; None where there never was versioning."""
        return found.version if self.versioning else None

    def remove(self, key: str, found: Object) -> None:
        """Takes a version away: what came before it is the latest then."""
        self.keys[key] = [one for one in self.keys[key] if one is not found]
        if not self.keys[key]:
            del self.keys[key]

    def replaced(self, key: str) -> Object | None:
        """What goes where something new comes: the null version, unless versions are kept."""
        return None if self.versioning == ENABLED else self.version(key, NULL)

    def add(self, key: str, made: Object, order: int) -> Object:
        """Makes it the latest of its key."""
        if gone := self.replaced(key):
            self.remove(key, gone)
        version = VersionNumber(order) if self.versioning == ENABLED else NULL
        made = made._replace(version=version, order=order)
        self.keys.setdefault(key, []).insert(0, made)
        return made

    def swap(self, key: str, found: Object, other: Object) -> None:
        """Says something else of a version."""
        self.keys[key] = [other if one is found else one for one in self.keys.get(key, [])]


class Keeping(ABC):
    """All that is kept. `names` are the ids that the server has given versions, as it told them.

    `part_bytes_min` bounds all parts of an upload but the last. Time is what `now_s` says.
    """

    def __init__(self, part_bytes_min: int) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.uploads: dict[int, Upload] = {}
        self.uploads_begun = 0
        self.births = 0
        self.orders = 0
        self.now_s = 0
        self.names: dict[VersionNumber, str] = {}
        self.part_bytes_min = part_bytes_min

    def fork(self: Self) -> Self:
        """Another one in the same state, to try something on."""
        other = type(self)(self.part_bytes_min)
        other.__dict__.update(self.__dict__)
        other.buckets = {name: bucket.fork() for name, bucket in self.buckets.items()}
        other.uploads = {n: it._replace(parts=dict(it.parts)) for n, it in self.uploads.items()}
        other.names = dict(self.names)
        return other

    def bucket(self, name: str) -> Bucket:
        """The bucket. Raises NoSuchBucket."""
        if name not in self.buckets:
            raise Refused("NoSuchBucket")
        return self.buckets[name]

    def find(self, bucket: str, key: str, version: Version = None) -> Object:
        """The object. Raises NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker."""
        kept = self.bucket(bucket)
        stack = kept.keys.get(key)
        if version is None:
            if not stack:
                raise Refused("NoSuchKey")
            if stack[0].is_marker:
                raise Refused("NoSuchKey", stack[0].version)
            return stack[0]
        found = kept.version(key, version)
        if found is None:
            is_plain = version == NULL and not kept.versioning
            raise Refused("NoSuchKey" if is_plain else "NoSuchVersion")
        if found.is_marker:
            raise Refused("MethodNotAllowed", found.version)
        return found

    def birth(self) -> int:
        """When bytes are stored that were not there before."""
        self.births += 1
        return self.births

    def add(self, bucket: Bucket, key: str, made: Object) -> Object:
        """Makes it the latest of its key."""
        self.orders += 1
        return bucket.add(key, self.locked(bucket, made), self.orders)

    def end(self, bucket: Bucket, key: str) -> Object | None:
        """Ends the current object; where versions are kept, by a delete marker."""
        if not bucket.versioning:
            bucket.keys.pop(key, None)
            return None
        return self.add(bucket, key, Object(b"", "", self.now_s, {}, {}, {}, 0, is_marker=True))

    @abstractmethod
    def locked(self, bucket: Bucket, made: Object) -> Object:
        """An object that is put, with what its bucket does to it (Locking says what)."""
