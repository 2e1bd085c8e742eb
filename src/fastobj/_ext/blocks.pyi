"""Blocks of the log: transactions with the places of their bodies filled in, and records.

`ISA` names the code that was chosen for the sums.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from typing_extensions import Buffer

ISA: Final[str]
VERSION: Final[int]

class BodyChanged(ValueError):
    """A body whose sum is not the one that came with it."""

class Place(Protocol):
    """Of a body: what its record's head says, and where its place goes in its transaction."""

    @property
    def data_id(self) -> bytes: ...
    @property
    def crc32c(self) -> int: ...
    @property
    def hint(self) -> bytes: ...
    @property
    def location_at(self) -> int: ...
    @property
    def counter_at(self) -> int: ...

class Block:
    """A block of at most `length` bytes whose records begin at `records_offset`.

    `add` appends a transaction and the records of its bodies, and returns it with the places of
    these filled in; it raises BodyChanged, and ValueError beyond the room. `take_back` undoes the
    last one, once. `finish` takes the head with a CRC of zero, and gives the CRC and the bytes.
    """

    txns: int
    def __init__(
        self,
        length: int,
        records_offset: int,
        *,
        volume: int,
        segment: int,
        generation: int,
        offset: int,
        counter_key: bytes,
    ) -> None: ...
    @property
    def txns_end(self) -> int: ...
    @property
    def records_end(self) -> int: ...
    @property
    def records(self) -> int: ...
    def add(self, txn: bytes, places: Sequence[Place], payloads: Sequence[Buffer]) -> bytes: ...
    def take_back(self) -> None: ...
    def finish(self, head: bytes, length: int) -> tuple[int, memoryview]: ...
