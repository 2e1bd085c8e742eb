"""What requests to an S3 say and what they answer, as the reference and the client have it."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

KEYS_MAX = 1000


class VersionNumber(int):
    """What the reference calls a version by; which id that has, only the server's answers tell.

    A greater one is newer.
    """


NULL = "null"  # the version that has no id of its own
Version = VersionNumber | str | None  # None: the latest, or that an answer names none


class Refused(Exception):
    """An answer that is an error; `code` is the one of S3, or the status where there is none.

    `marker` is the delete marker that it tells of, None without one.
    """

    def __init__(self, code: str, marker: Version = None) -> None:
        super().__init__(code)
        self.code = code
        self.marker = marker


# What a HEAD request tells of an error.
STATUS = {
    "NoSuchBucket": "404", "NoSuchKey": "404", "PreconditionFailed": "412", "304": "304",
    "InvalidRange": "416", "InvalidPartNumber": "416", "InternalError": "500",
    "NoSuchVersion": "404", "MethodNotAllowed": "405",
}  # fmt: skip


class Conditions(NamedTuple):
    """What must hold of an object; etags without quotes, "*" for any; times in seconds."""

    if_match: str | None = None
    if_none_match: str | None = None
    modified_since_s: int | None = None
    unmodified_since_s: int | None = None


ALWAYS = Conditions()


class Lock(NamedTuple):
    """What keeps a version: a retention of that mode until then, "" for none, and a legal hold,
    None where nothing was ever said of one."""

    mode: str = ""
    until_s: int = 0
    hold: bool | None = None


class Default(NamedTuple):
    """What a bucket whose objects may be locked does to those that say nothing."""

    mode: str = ""
    days: int = 0


class LifecycleRule(NamedTuple):
    """What a bucket does to what has that prefix, and to objects that have that tag and are larger.

    Of the actions, each in days, None is one that it does not have. `kept` newest noncurrent
    versions stay whatever their age.
    """

    prefix: str = ""
    tag: tuple[str, str] | None = None
    larger: int | None = None
    days: int | None = None
    markers: bool = False
    noncurrent_days: int | None = None
    kept: int | None = None
    abort_days: int | None = None


class Description(NamedTuple):
    """What is said of an object. `algorithm` names a checksum to keep, "" for none."""

    headers: Mapping[str, str] = MappingProxyType({})
    metadata: Mapping[str, str] = MappingProxyType({})
    algorithm: str = ""
    tags: Mapping[str, str] = MappingProxyType({})
    lock: Lock | None = None


PLAIN = Description()


class Part(NamedTuple):
    """A part of an upload, or of an object that was made of such."""

    number: int
    content: bytes
    checksums: dict[str, str]
    modified_s: int

    @property
    def etag(self) -> str:
        """The MD5 in hex."""
        return md5(self.content)


class Object(NamedTuple):
    """A version of a key: an object, or a delete marker.

    Copies share `birth`: it says when their bytes were stored. `order` tells which of two versions
    is newer. `is_shared`: another object was made of it by reference, or it was made so.
    `renamed` is what the last rename that brought it to its key was asked with a token.
    """

    content: bytes
    etag: str
    modified_s: int
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    checksums: dict[str, str]
    birth: int
    parts: tuple[Part, ...] = ()
    upload: int = 0
    tags: Mapping[str, str] = MappingProxyType({})
    version: VersionNumber | str = NULL
    order: int = 0
    is_marker: bool = False
    is_shared: bool = False
    renamed: tuple[object, ...] = ()
    lock: Lock | None = None


class Upload(NamedTuple):
    """An open upload; its number is what both sides call it by."""

    bucket: str
    key: str
    description: Description
    begun_s: int
    parts: dict[int, Part]


class Seen(NamedTuple):
    """What a read answers."""

    body: bytes
    length: int
    content_range: str
    etag: str
    modified_s: int
    headers: dict[str, str]
    metadata: dict[str, str]
    checksums: dict[str, str]
    parts: int
    tags: int
    version: Version
    lock: Lock | None
    expires_s: int | None


class Written(NamedTuple):
    """What a write answers: with the version that it has made, and the one that it has copied."""

    etag: str
    checksums: dict[str, str]
    version: Version = None
    source: Version = None
    size: int | None = None  # of what was appended to


class Deleted(NamedTuple):
    """What a deletion answers: the delete marker that it left, or the version that it was of."""

    version: Version = None
    is_marker: bool = False


class Tagged(NamedTuple):
    """What is answered of the tags of a version."""

    tags: Mapping[str, str]
    version: Version


class Attributes(NamedTuple):
    """What an object says of itself; `parts` are number, size and checksums of each."""

    etag: str
    size: int
    checksums: dict[str, str]
    parts: list[tuple[int, int, dict[str, str]]] | None
    modified_s: int
    version: Version


class Entry(NamedTuple):
    """An object in a listing, or a part in one of parts (then `name` is its number)."""

    name: str
    etag: str
    size: int
    modified_s: int


class Page(NamedTuple):
    """A page of a listing of objects, parts (Entry) or uploads (key and number)."""

    entries: list
    prefixes: list[str]
    is_truncated: bool


class ListedVersion(NamedTuple):
    """A version in a listing of such; a delete marker has no etag and no size."""

    key: str
    version: VersionNumber | str
    is_latest: bool
    modified_s: int
    etag: str | None
    size: int | None


class VersionPage(NamedTuple):
    """A page of a listing of versions, and the markers of the next one."""

    entries: list[ListedVersion]
    prefixes: list[str]
    is_truncated: bool
    next_key: str | None
    next_version: Version


def md5(content: bytes) -> str:
    """An etag."""
    return hashlib.md5(content).hexdigest()


def etag_of_parts(etags: Iterable[str]) -> str:
    """The etag of an object that was made of parts with these."""
    listed = [bytes.fromhex(etag) for etag in etags]
    return f"{md5(b''.join(listed))}-{len(listed)}"


def etag_of_appended(before: str, content: bytes, parts: int) -> str:
    """The etag of an object that had another one before the content was appended to it."""
    return f"{md5(f'{before} {md5(content)}'.encode())}-{parts}"


def digest(algorithm: str, content: bytes) -> bytes:
    """A checksum."""
    if algorithm == "crc32":
        return zlib.crc32(content).to_bytes(4, "big")
    return hashlib.new(algorithm, content).digest()


def sums(algorithm: str, content: bytes) -> dict[str, str]:
    """The checksum of some bytes, as it is kept with them."""
    return {algorithm: b64encode(digest(algorithm, content)).decode()} if algorithm else {}


def sums_of_parts(algorithm: str, parts: Iterable[Part]) -> dict[str, str]:
    """The checksum of checksums."""
    listed = [digest(algorithm, part.content) for part in parts] if algorithm else []
    value = sums(algorithm, b"".join(listed))
    return {name: f"{text}-{len(listed)}" for name, text in value.items()}
