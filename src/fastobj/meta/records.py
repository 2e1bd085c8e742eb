"""Values of rows: msgspec structs in MessagePack arrays, each with a format number first.

A newer unknown format is refused; older ones are read. New fields go to the end, with a default.
The format number and the location stand first, so that the location's byte offset in an encoded
object row is the same small number whatever follows.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from fastobj.core.errors import StoreDamaged, UnknownFormat
from fastobj.core.segments import LOCATION_BYTES

FORMAT: Final = 1
# In MessagePack: bin 8 and the length.
_LOCATION_HEAD: Final = bytes([0xC4, LOCATION_BYTES])
_NO_LOCATION_HEAD: Final = bytes([0xC4, 0])
_LOCATION_HEAD_BYTES: Final = len(_LOCATION_HEAD)

BUCKET_ACTIVE: Final = 0
BUCKET_DELETING: Final = 1

NEVER_VERSIONED: Final = 0
VERSIONING_ENABLED: Final = 1
VERSIONING_SUSPENDED: Final = 2


GRANTEE_USER: Final = "CanonicalUser"
GRANTEE_GROUP: Final = "Group"


class Grant(NamedTuple):
    """One grant of an access control list: to a user by id, or to a group by URI."""

    kind: str
    grantee: str
    permission: str


# None: nobody but the owner has a grant, and that for everything.
Acl = tuple[Grant, ...] | None


class Encryption(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How an object is encrypted; `kind` is one of ENCRYPTIONS.

    `wrapped` is the object's key: wrapped by the key service's key `key_id` for the `context`
    (JSON, keys sorted; "" for none), or by one that is made of the customer's. `bucket_key` is
    what the client asked for, and is told again.
    """

    kind: str
    wrapped: bytes
    key_id: str = ""
    context: str = ""
    bucket_key: bool = False


SSE_S3: Final = "AES256"
SSE_KMS: Final = "aws:kms"
SSE_C: Final = "SSE-C"
ENCRYPTIONS: Final = (SSE_S3, SSE_KMS, SSE_C)


class Lock(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What keeps a version from being removed.

    Under a `mode` (GOVERNANCE or COMPLIANCE; "" for none) that is so until `retain_until_s`,
    seconds since the Unix epoch, and while there is a `legal_hold`: None where nothing was ever
    said of one.
    """

    mode: str = ""
    retain_until_s: int = 0
    legal_hold: bool | None = None


class BucketRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A bucket. `id` starts the keys of its rows; times are nanoseconds since the Unix epoch.

    Bit n of `configs` says that it has a configuration of kind n (objects.configs), and
    `configs_revision` how often one of them has changed. `versioning` never goes back to
    NEVER_VERSIONED.
    """

    format: int
    id: bytes
    owner: str
    created_ns: int
    region: str
    state: int = BUCKET_ACTIVE
    acl: Acl = None
    configs: int = 0
    configs_revision: int = 0
    versioning: int = NEVER_VERSIONED


class ObjectRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An object, or a version of one. An empty body has neither data id nor location.

    The location of a shared body is b"": its SharedRecord has it, under the data id.
    Where there is an `upload_id`, the body is a manifest (objects.manifest) of `parts` parts that
    together have `size` bytes. A checksum of checksums of parts ends in `-` and their number.
    `etag` has no quotes. `headers` are the system headers stored with it (lower-case name to
    value), `metadata` the user's (`x-amz-meta-` left out), `checksums` algorithm (lower-case:
    crc32, crc32c, crc64nvme, sha1, sha256, sha512, md5, xxhash64, xxhash3, xxhash128) to base64
    text. `blake3` is the sum of 32 bytes over the body, where the setting `integrity` asked for it;
    a body of parts has none, nor has one that is encrypted. `encryption` says how; `size` and
    `checksums` are of what was encrypted. `tags` are the user's, key to value, in the order in
    which they came. `rename_token` tells the rename that brought the object here (objects.rename),
    b"" where none did or its client named no token. `version` is b"" for the null version. A
    delete marker has no body and stands in no other space than `HISTORY`. `lock` is what keeps the
    version, None where nothing was ever said of that.
    """

    format: int
    location: bytes
    data_id: bytes
    size: int
    etag: str
    modified_ns: int
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    checksums: dict[str, str] = {}
    upload_id: bytes = b""
    parts: int = 0
    acl: Acl = None
    blake3: bytes = b""
    tags: dict[str, str] = {}
    rename_token: bytes = b""
    encryption: Encryption | None = None
    version: bytes = b""
    is_delete_marker: bool = False
    lock: Lock | None = None


class StampRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What orders the versions of a key; every change of the key checks and rewrites it.

    `latest` is the order of the latest version, which is a delete marker where `is_marker` says so,
    `highest` the highest that was ever given out, `null` the order of the null version where it
    stands in `HISTORY`, 0 elsewhere.
    """

    format: int
    latest: int
    highest: int
    null: int = 0
    is_marker: bool = False


class UploadRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A multipart upload that is open: its row goes when it is completed or aborted.

    `headers`, `metadata` and `tags` are those of the object to be. `algorithm` is the checksum that
    was asked for, in lower case, and `is_composite` what it makes of parts; "" where none was.
    `expires_hour` is the hour of its row in the time index, 0 where it has none. All parts are
    encrypted with the key in `encryption`, and so will the object be. `lock` is what was asked for.
    """

    format: int
    owner: str
    created_ns: int
    expires_hour: int
    headers: dict[str, str] = {}
    metadata: dict[str, str] = {}
    algorithm: str = ""
    is_composite: bool = False
    acl: Acl = None
    tags: dict[str, str] = {}
    encryption: Encryption | None = None
    lock: Lock | None = None


class PartRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A part: the fields are those of an ObjectRecord, and stand in the same order.

    Where it `is_encrypted`, its upload or object says how.
    """

    format: int
    location: bytes
    data_id: bytes
    size: int
    etag: str
    modified_ns: int
    checksums: dict[str, str] = {}
    blake3: bytes = b""
    is_encrypted: bool = False


class PartsDue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Parts of an upload to let go of: all but those whose suffixes stand in `kept`.

    `since_ns` is when the last object that names them went, 0 where none ever did: those whom
    somebody may be reading are kept for a while longer.
    """

    format: int
    kept: bytes = b""
    since_ns: int = 0


class UploadDue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An upload that expires: where its row is, if it is still open."""

    format: int
    bucket_id: bytes
    key: bytes


class VersionDue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Lifecycle rules of the bucket `name` may act on what the row's key names."""

    format: int
    name: str


class RulesDue(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The lifecycle rules of the bucket `name` have changed: what it holds is to be hinted anew.

    That is done up to the row `key` of `space`; 0: before the first.
    """

    format: int
    name: str
    space: int = 0
    key: bytes = b""


class SharedRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A body that `count` rows name: where it is stands here, so that it moves in one row."""

    format: int
    location: bytes
    count: int


class SegmentRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A segment file. `size` is in bytes; `owner` the incarnation of the process that appends.

    `kind` and `state` are of core.segments; `last_sequence` is that of the last block in a sealed
    log segment.
    """

    format: int
    kind: int
    state: int
    generation: int
    size: int
    owner: int
    last_sequence: int = 0


class ScrubRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How far the scrub is: in round `round`, at the row `key` of `space`; 0: before the first.

    `bodies`, `bytes_read` and `damaged` are what this round has verified and found. Times are
    nanoseconds since the Unix epoch: `finished_ns` is 0 while the round goes on, `ended_ns` when
    the last whole one ended, 0 where none has.
    """

    format: int
    round: int
    started_ns: int
    space: int = 0
    key: bytes = b""
    bodies: int = 0
    bytes_read: int = 0
    damaged: int = 0
    finished_ns: int = 0
    ended_ns: int = 0


class DamageRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Damage that was found: the row that names the body, or is damaged itself, and why.

    `location` is b"" where it is the row itself.
    """

    format: int
    space: int
    key: bytes
    location: bytes
    found_ns: int
    reason: str


class ConfigRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A piece of a bucket's configuration, which has `chunks` of them; all are of one transaction.

    `content` joined over all pieces is the configuration in MessagePack.
    """

    format: int
    chunks: int
    content: bytes


class TrustedTimeRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The time that retention is judged by, as it was when it was saved (objects.trusted_time).

    `time_ns` is of the Unix epoch; the machine had then been up for `elapsed_ns` since the start
    that the system calls `boot`. Where the wall clock `jumped`, it is ahead, and not believed.
    """

    format: int
    time_ns: int
    boot: str
    elapsed_ns: int
    jumped: bool = False


class EventRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Something that happened to an object, and whom that is told to.

    `targets` are pairs: the id of a target and that of the notification by which it is told.
    `bucket`, `owner` (of it) and `region` are as they were then. `version` is the id as clients see
    it, "" where there is none; `size` is -1, and `etag` "", where there is no object any more.
    """

    format: int
    name: str
    at_ns: int
    bucket: str
    owner: str
    region: str
    key: str
    targets: tuple[tuple[str, str], ...]
    principal: str = ""
    source_ip: str = ""
    request_id: str = ""
    version: str = ""
    size: int = -1
    etag: str = ""


class CursorRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How far a target of events is: it has all that stand in the outbox up to `position`."""

    format: int
    position: bytes


class KmsKeyRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A key of the key service, with which keys of objects are wrapped.

    What its versions below `version` had wrapped was wrapped anew by a whole pass.
    """

    format: int
    version: int


class RewrapRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How far rewrapping is: at the row `key` of `space`, or done where `finished_ns` is not 0.

    `targets` are the keys of the key service that the pass is about, and the version that must have
    wrapped; `failed` how many keys of objects could not be wrapped anew, by the key. Another pass
    begins at `again_ns`, where that is not 0. Times are nanoseconds since the Unix epoch.
    """

    format: int
    started_ns: int
    targets: dict[str, int] = {}
    space: int = 0
    key: bytes = b""
    rewrapped: int = 0
    failed: dict[str, int] = {}
    finished_ns: int = 0
    again_ns: int = 0


Record = TypeVar(
    "Record",
    BucketRecord,
    ObjectRecord,
    UploadRecord,
    PartRecord,
    PartsDue,
    UploadDue,
    SegmentRecord,
    SharedRecord,
    ScrubRecord,
    DamageRecord,
    ConfigRecord,
    StampRecord,
    TrustedTimeRecord,
    VersionDue,
    RulesDue,
    EventRecord,
    CursorRecord,
    KmsKeyRecord,
    RewrapRecord,
)

_encoder = msgspec.msgpack.Encoder()
_decoders: Final[dict[type, msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(kind) for kind in Record.__constraints__
}


def encode(record: Record) -> bytes:
    """The bytes of a value."""
    return _encoder.encode(record)


def decode(kind: type[Record], value: bytes) -> Record:
    """Reads a value. Raises UnknownFormat for a newer format, StoreDamaged for anything else."""
    try:
        record: Record = _decoders[kind].decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreDamaged(f"a {kind.__name__} does not decode: {error}") from error
    if record.format > FORMAT:
        raise UnknownFormat(
            f"a {kind.__name__} has format {record.format}, this version reads up to {FORMAT}:"
            " use the version of fastobj that wrote it"
        )
    return record


def location_offset(value: bytes) -> int:
    """The byte offset of the location in an encoded ObjectRecord, PartRecord or SharedRecord.

    MessagePack: the array's head is 1 byte up to 15 elements and 3 bytes above; the format
    number is one byte (below 128); the location's own head is 2 bytes (bin 8).
    """
    head = 1 if value[0] & 0xF0 == 0x90 else 3
    return head + 1 + _LOCATION_HEAD_BYTES


def location_of(value: bytes) -> bytes:
    """The location in an encoded ObjectRecord, PartRecord or SharedRecord; b"" where it has none.

    Nothing else is decoded. Raises StoreDamaged where there cannot be one.
    """
    at = location_offset(value) if value else _LOCATION_HEAD_BYTES
    head = value[at - _LOCATION_HEAD_BYTES : at]
    location = value[at : at + LOCATION_BYTES]
    if head == _NO_LOCATION_HEAD:
        return b""
    if head != _LOCATION_HEAD or len(location) != LOCATION_BYTES:
        raise StoreDamaged("a row that names a body has no location")
    return location
