"""Sums of the pages of SQLite databases: pagesum_impl.h says where they stand and what they cover.

SQLite loads the file of this module as an extension, by ENTRY_POINT; then `register` makes a VFS.
"""

from typing import Final

ISA: Final[str]
VERSION: Final[int]
PAGE_BYTES: Final[int]
RESERVED_BYTES: Final[int]
ENTRY_POINT: Final[str]

def register(name: str, base: str | None = None) -> None: ...
def stamped(page: bytes, number: int) -> bytes: ...
def verifies(page: bytes, number: int) -> bool: ...
