"""The settings: one row each. Where their values come from is `core.setting_sources`.

A row is a field of `Settings`: its type, its default, and the metadata that `_row` gives it. Flags,
variables, the keys of the file, help, checks, documents and `fastobj config show` all come from
that row. A value of a secret setting is never shown, and has no flag, because every user of a
machine sees command lines.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, NamedTuple

from fastobj.core import limits
from fastobj.core.setting_kinds import (
    ADDRESS,
    DURATION,
    IDENTITIES,
    LEVEL,
    LOG_LEVELS,
    NAMES,
    SECONDS,
    SWITCH,
    TEXT,
    URL,
    WEBHOOKS,
    Address,
    GivenIdentity,
    Kind,
    Webhook,
    bytes_between,
    choice,
    count_between,
)

VARIABLE_PREFIX: Final = "FASTOBJ_"
DEFAULT_ORIGIN: Final = "default"
WORKERS_MAX: Final = 64
_WORKERS_DEFAULT_MAX: Final = 8


class Setting(NamedTuple):
    """One row of the table. `name` is the flag without dashes and the key in the file."""

    name: str
    kind: Kind
    help: str
    group: str
    secret: bool
    hidden: bool
    aliases: tuple[str, ...]

    @property
    def field(self) -> str:
        """The attribute of `Settings`."""
        return self.name.replace("-", "_")

    @property
    def variables(self) -> tuple[str, ...]:
        """Environment variables that hold the value, the first one that is set wins."""
        return (VARIABLE_PREFIX + self.field.upper(), *self.aliases)


def _row(
    kind: Kind,
    default: Any,
    help: str,
    *,
    group: str,
    secret: bool = False,
    hidden: bool = False,
    aliases: tuple[str, ...] = (),
) -> Any:
    """A field with its row. A callable default is asked when the settings are made."""
    row = Setting("", kind, help, group, secret, hidden, aliases)
    if callable(default):
        return field(default_factory=default, repr=not secret, metadata={"row": row})
    return field(default=default, repr=not secret, metadata={"row": row})


def default_workers() -> int:
    """One worker for each core that this process may use, at most 8."""
    return max(1, min(len(os.sched_getaffinity(0)), _WORKERS_DEFAULT_MAX))


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a server, each with a default. `origins` says where the others came from."""

    address: Address = _row(  # noqa: RUF009 (it makes a field)
        ADDRESS, Address("127.0.0.1", 9000), "where the S3 API listens", group="network"
    )
    console_address: Address = _row(  # noqa: RUF009 (as above)
        ADDRESS,
        Address("127.0.0.1", 9001),
        "where the console listens: health checks, metrics, documents",
        group="network",
    )
    domain: tuple[str, ...] = _row(
        NAMES,
        (),
        "host names below which BUCKET.NAME means a bucket (virtual-host style), with commas",
        group="network",
        aliases=("MINIO_DOMAIN",),
    )
    external_url: str = _row(
        URL,
        "",
        "URL by which clients reach this server through a proxy that changes the Host header",
        group="network",
        aliases=("MINIO_SERVER_URL",),
    )
    pages: str = _row(
        choice("s3", "console"),
        "s3",
        "where metrics and documents answer: s3 (both addresses) or console (only there)",
        group="network",
    )
    connections_max: int = _row(
        count_between(16, 1_000_000),
        limits.CONNECTIONS_MAX,
        "open connections of each worker; beyond, idle ones are closed, then new ones refused",
        group="network",
    )
    requests_max: int = _row(
        count_between(1, 1_000_000),
        limits.REQUESTS_MAX,
        "requests that each worker works on at once; beyond, the answer is 503 SlowDown",
        group="network",
    )
    header_bytes_max: int = _row(
        bytes_between(8 * limits.KIB, limits.MIB),
        limits.HEAD_BYTES_MAX,
        "size of a request's head: request line and headers",
        group="network",
    )
    header_timeout: float = _row(
        SECONDS, limits.HTTP_HEAD_S_MAX, "seconds for a request's head to arrive", group="network"
    )
    idle_timeout: float = _row(
        SECONDS,
        limits.HTTP_IDLE_S_MAX,
        "seconds that a connection may wait for its next request",
        group="network",
    )
    body_timeout: float = _row(
        SECONDS,
        limits.HTTP_BODY_STALL_S_MAX,
        "seconds that a request's body may stall",
        group="network",
    )
    body_rate_min: int = _row(
        bytes_between(1, limits.GIB),
        limits.HTTP_BODY_BYTES_S_MIN,
        "bytes a second below which a request's body counts as stalled",
        group="network",
    )
    write_timeout: float = _row(
        SECONDS,
        limits.HTTP_WRITE_STALL_S_MAX,
        "seconds that a client may not read its answer",
        group="network",
    )
    tls_certs: str = _row(
        TEXT,
        "",
        "folder with public.crt and private.key, and one folder for each further host name",
        group="tls",
    )
    tls_min_version: str = _row(
        choice("1.2", "1.3"), "1.2", "oldest version of TLS that is spoken", group="tls"
    )
    workers: int = _row(
        count_between(1, WORKERS_MAX),
        default_workers,
        "worker processes (default: one for each core, at most 8)",
        group="processes",
    )
    shutdown_timeout: float = _row(
        SECONDS, 30.0, "seconds that open requests get when the server stops", group="processes"
    )
    root_user: str = _row(
        TEXT,
        "",
        "access key of the root user (default: generated on the first start)",
        group="identity",
        aliases=("MINIO_ROOT_USER", "MINIO_ACCESS_KEY"),
    )
    root_password: str = _row(
        TEXT,
        "",
        "secret key of the root user (default: generated on the first start)",
        group="identity",
        secret=True,
        aliases=("MINIO_ROOT_PASSWORD", "MINIO_SECRET_KEY"),
    )
    root_id: str = _row(
        TEXT,
        "",
        "owner id of the root user (default: made from the store's id; new keys do not change it)",
        group="identity",
    )
    root_display_name: str = _row(TEXT, "root", "display name of the root user", group="identity")
    root_email: str = _row(TEXT, "", "email address of the root user", group="identity")
    identities: tuple[GivenIdentity, ...] = _row(
        IDENTITIES,
        (),
        "further identities: a JSON list of objects with id, access-key, secret-key, display-name"
        " and email, or [[identities]] tables in the file",
        group="identity",
        secret=True,
    )
    no_auth: bool = _row(
        SWITCH,
        False,
        "take every request for the root user's, signed or not; for tests, on loopback only",
        group="identity",
    )
    region: str = _row(
        TEXT,
        "us-east-1",
        "the region that requests are signed for",
        group="s3",
        aliases=("MINIO_REGION", "MINIO_SITE_REGION"),
    )
    max_object_size: int = _row(
        bytes_between(1, limits.OBJECT_BYTES_MAX),
        limits.OBJECT_BYTES_MAX,
        "size of the body of one PUT",
        group="s3",
    )
    parts_max: int = _row(
        count_between(1, limits.PART_NUMBER_MAX),
        limits.PART_NUMBER_MAX,
        "parts of a multipart upload: the highest number that a part may be stored under",
        group="s3",
    )
    upload_expiry_days: int = _row(
        count_between(0, 3650),
        limits.UPLOAD_EXPIRY_DAYS,
        "days after which a multipart upload that nobody has completed is aborted; 0: never",
        group="s3",
    )
    integrity: str = _row(
        choice("crc32c", "blake3"),
        "crc32c",
        "sums of what is stored: crc32c of each piece, or blake3 of each whole body beside it"
        " (needs the package blake3)",
        group="s3",
    )
    parts_grace_seconds: int = _row(
        count_between(0, 86_400),
        limits.PARTS_GRACE_S,
        "seconds for which reads go on of an object made of parts that was overwritten or deleted;"
        " its space comes back after that",
        group="s3",
    )
    presign_expires_max: int = _row(
        count_between(1, limits.PRESIGN_EXPIRES_S_MAX),
        limits.PRESIGN_EXPIRES_S_MAX,
        "seconds for which a presigned URL may be valid",
        group="s3",
    )
    signature_v2: str = _row(
        choice("off", "presigned", "all"),
        "presigned",
        "where Signature Version 2 is taken: off, presigned (URLs and forms, as boto3 makes them)"
        " or all (in the Authorization header too, for old clients)",
        group="s3",
    )
    clock_skew_max: int = _row(
        count_between(1, 24 * 3600),
        limits.CLOCK_SKEW_S_MAX,
        "seconds that a request's date may differ from this machine's",
        group="s3",
    )
    lifecycle_day_seconds: int = _row(
        count_between(1, limits.LIFECYCLE_DAY_S),
        limits.LIFECYCLE_DAY_S,
        "seconds that a day of lifecycle rules lasts; with less than 86400, for tests, nothing is"
        " rounded up to midnight",
        group="s3",
    )
    notify_webhook: tuple[Webhook, ...] = _row(
        WEBHOOKS,
        (),
        "targets of bucket notifications: a JSON list of objects with id, endpoint (a URL) and"
        " auth-token, or [[notify-webhook]] tables in the file; buckets name one by the ARN"
        " arn:fastobj:sqs::ID:webhook",
        group="events",
        secret=True,
    )
    events_max: int = _row(
        count_between(1, 1_000_000_000),
        limits.EVENTS_MAX,
        "events that the outbox holds; of more, the oldest are dropped, and the log says so",
        group="events",
    )
    events_retention: int = _row(
        DURATION,
        0,
        "time for which delivered events are kept so that they can be replayed, such as 1h or 7d;"
        " 0: not at all",
        group="events",
    )
    log_level: str = _row(
        LEVEL, "info", f"least level that is logged: {', '.join(LOG_LEVELS)}", group="log"
    )
    log_format: str = _row(
        choice("text", "json"), "text", "form of the log's lines: text or json", group="log"
    )
    access_log: str = _row(
        TEXT,
        "",
        "file for one JSON line about each request; - is standard output (default: none)",
        group="log",
    )
    metrics_token: str = _row(
        TEXT,
        "",
        "bearer token with which other machines may read /metrics (default: none may)",
        group="log",
        secret=True,
    )
    small_body_bytes_max: int = _row(
        bytes_between(0, limits.MIB),
        limits.SMALL_BODY_BYTES_MAX,
        "bodies up to here are stored in the log, larger ones in extents",
        group="storage",
    )
    body_memory_bytes_max: int = _row(
        bytes_between(8 * limits.MIB, 64 * limits.GIB),
        64 * limits.MIB,
        "memory for bodies in flight, for each worker",
        group="storage",
    )
    scrub_interval: int = _row(
        DURATION,
        limits.SCRUB_INTERVAL_S,
        "time from the beginning of one scrub of all that is stored to that of the next, such as"
        " 12h or 7d; 0: never",
        group="storage",
    )
    scrub_rate: int = _row(
        bytes_between(64 * limits.KIB, 64 * limits.GIB),
        limits.SCRUB_BYTES_S,
        "bytes per second that the scrub reads",
        group="storage",
    )
    log_segment_bytes_min: int = _row(
        bytes_between(64 * limits.KIB, limits.GIB),
        limits.LOG_SEGMENT_BYTES_MIN,
        "size of the first segments of the log",
        group="storage",
        hidden=True,
    )
    log_segment_bytes_max: int = _row(
        bytes_between(64 * limits.KIB, limits.GIB),
        limits.LOG_SEGMENT_BYTES_MAX,
        "size that segments of the log grow to",
        group="storage",
        hidden=True,
    )
    kms: str = _row(
        choice("local", "vault", "off"),
        "local",
        "key service for objects that are encrypted by the server: local (keys in kms-key-file),"
        " vault (HashiCorp Vault or OpenBao, at kms-endpoint) or off",
        group="encryption",
    )
    kms_key_file: str = _row(
        TEXT,
        "",
        "file of the keys of kms local (default: kms-keys in the store's directory); made with the"
        " first object that is encrypted",
        group="encryption",
    )
    kms_key_id: str = _row(
        TEXT,
        "default",
        "key that encrypts where a request names none; kms local makes it by itself",
        group="encryption",
    )
    sse_s3: str = _row(
        choice("on", "off"),
        "on",
        "whether clients may have objects encrypted with the server's own key (AES256)",
        group="encryption",
    )
    sse_c: str = _row(
        choice("secure", "on", "off"),
        "secure",
        "whether clients may bring keys of their own: secure (over TLS, or where only this machine"
        " can connect), on or off",
        group="encryption",
    )
    kms_endpoint: str = _row(
        URL,
        "",
        "URL of the server of kms vault",
        group="encryption",
        aliases=("VAULT_ADDR",),
    )
    kms_mount: str = _row(
        TEXT, "transit", "where Vault has its Transit secrets engine", group="encryption"
    )
    kms_namespace: str = _row(
        TEXT,
        "",
        "namespace of Vault in which that is",
        group="encryption",
        aliases=("VAULT_NAMESPACE",),
    )
    kms_ca: str = _row(
        TEXT,
        "",
        "file of certificates, in PEM form, that Vault's is signed with (default: the system's)",
        group="encryption",
        aliases=("VAULT_CACERT",),
    )
    kms_token: str = _row(
        TEXT,
        "",
        "token for Vault; it is renewed while it can be",
        group="encryption",
        secret=True,
        aliases=("VAULT_TOKEN",),
    )
    kms_token_sink: str = _row(
        TEXT,
        "",
        "file into which an agent writes the token for Vault, instead of kms-token; read again"
        " when it changes",
        group="encryption",
    )
    kms_role_id: str = _row(
        TEXT, "", "role with which to log in to Vault (AppRole), instead", group="encryption"
    )
    kms_secret_id: str = _row(TEXT, "", "secret id of that role", group="encryption", secret=True)
    kms_keep: int = _row(
        DURATION,
        limits.KMS_KEEP_S,
        "how long a key that Vault has unwrapped is kept in memory: so long it can still be used"
        " when Vault is down, or has been told to refuse it; 0: not at all",
        group="encryption",
    )
    kms_check_interval: int = _row(
        DURATION,
        limits.KMS_CHECK_S,
        "how often the key service is asked for new versions of keys: what older ones have wrapped"
        " is then wrapped anew, in the background; 0: never",
        group="encryption",
    )
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    # Who may sign requests: iam.identity.Identity, which this layer does not know.
    signers: tuple[Any, ...] = field(default=(), repr=False)

    @property
    def event_targets(self) -> frozenset[str]:
        """The ids of the targets of events."""
        return frozenset([webhook.id for webhook in self.notify_webhook])

    def url(self, address: Address) -> str:
        """The URL by which this machine reaches an address of the server."""
        return f"{'https' if self.tls_certs else 'http'}://{address.reachable}"

    def origin(self, name: str) -> str:
        """Where the value of a setting came from, as a person would say it."""
        return self.origins.get(name, DEFAULT_ORIGIN)

    def with_signers(self, signers: Iterable[Any]) -> Settings:
        """The same settings with the identities that were found at the start, the root first."""
        return replace(self, signers=tuple(signers))


SETTINGS: Final = tuple(
    row.metadata["row"]._replace(name=row.name.replace("_", "-"))
    for row in fields(Settings)
    if "row" in row.metadata
)
