"""Entries of a listing as XML, straight from encoded object records.

`entries` writes an element `name` for each (key, record) pair, one behind the other: key, time,
etag, checksum algorithms, size, and then `tail`, which is XML. With `url` keys are percent-encoded,
"/" excepted. Raises ValueError, with the pair's index, for a record that it cannot read.
"""

from collections.abc import Sequence
from typing import Final

ISA: Final[str]
VERSION: Final[int]

def entries(rows: Sequence[tuple[bytes, bytes]], name: bytes, tail: bytes, url: bool) -> bytes: ...
