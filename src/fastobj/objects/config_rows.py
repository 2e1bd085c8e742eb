"""A configuration of a bucket as rows: what it is cut into, and how it is put together again.

Knows no kind. Each change writes all rows of a configuration in one transaction, so that rows of
one token are one configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from fastobj.core import codes, limits
from fastobj.core.errors import S3Error, StoreDamaged
from fastobj.meta import keys, records
from fastobj.meta.base import ANY, DELETE, Row, ScanRow
from fastobj.meta.records import ConfigRecord

Config = TypeVar("Config")

_KEPT_BYTES: Final = 1024
_DECODED_FACTOR: Final = 4  # objects of Python around short texts
_encoder: Final = msgspec.msgpack.Encoder()


class Kind(NamedTuple, Generic[Config]):
    """A kind of configuration. `number` is part of the format; at most `rows_max` rows hold one."""

    number: int
    name: str
    record: type[Config]
    rows_max: int = 1

    @property
    def bit(self) -> int:
        """Its bit in the `configs` of a bucket's row."""
        return 1 << self.number


class KeptConfig(NamedTuple):
    """A configuration as it was decoded, and about how much memory it takes."""

    config: Any
    memory_bytes: int


def writing(bucket_id: bytes, kind: Kind[Config], config: Config | None) -> list[Row]:
    """The rows that leave this configuration, or none. Raises InvalidRequest for one too large."""
    pieces = list(_pieces(kind, config)) if config is not None else []
    pieces += [None] * (kind.rows_max - len(pieces))
    return [
        Row(keys.CONFIGS, keys.config(bucket_id, kind.number, chunk), ANY, piece)
        for chunk, piece in enumerate(pieces)
    ]


def _pieces(kind: Kind[Config], config: Config) -> Iterator[bytes | None]:
    content, size = _encoder.encode(config), limits.CONFIG_ROW_BYTES_MAX
    chunks = -(-len(content) // size)
    if chunks > kind.rows_max:
        most = kind.rows_max * size
        message = f"The {kind.name} configuration takes {len(content)} bytes, of at most {most}"
        raise S3Error(codes.INVALID_REQUEST, message)
    for start in range(0, len(content), size):
        piece = content[start : start + size]
        yield records.encode(ConfigRecord(records.FORMAT, chunks, piece))


def read(kind: Kind[Config], rows: Sequence[ScanRow]) -> Config:
    """The configuration that all its rows hold, in their order.

    Raises StoreDamaged, UnknownFormat: what cannot be read is never taken for none.
    """
    found = [records.decode(ConfigRecord, row.value) for row in rows]
    chunks = [keys.config_of(row.key)[2] for row in rows]
    is_whole = chunks == list(range(len(rows))) and {len(rows)} == {row.chunks for row in found}
    if not is_whole or len({row.token for row in rows}) != 1:
        raise StoreDamaged(f"the rows of a {kind.name} configuration do not belong together")
    try:
        return msgspec.msgpack.decode(b"".join([row.content for row in found]), type=kind.record)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreDamaged(f"a {kind.name} configuration does not decode: {error}") from error


def kept(config: object, rows: Sequence[ScanRow]) -> KeptConfig:
    """The configuration in these rows, to be kept."""
    size = sum(len(row.value) for row in rows)
    return KeptConfig(config, _KEPT_BYTES + _DECODED_FACTOR * size)


def deleting(rows: Sequence[ScanRow]) -> list[Row]:
    """What lets go of rows together with their bucket."""
    return [Row(keys.CONFIGS, row.key, ANY, DELETE) for row in rows]
