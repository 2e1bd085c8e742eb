"""Reed-Solomon over ISA-L, which is found and bound when it is first needed.

It is the copy in the wheel of pyeclib, else the system's, of 2.30 or later; where there is none the
first call says so. Shards of a call have one length, of at most 1 GiB; they are numbered in a row,
data first, and the matrix is a Cauchy one. The GIL is released for more than 4096 bytes.
No path of the server uses this yet: it is for volumes whose bodies are spread over drives.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from typing_extensions import Buffer

ISA: Final[str]
VERSION: Final[int]
LIBRARY_MISSING: Final[str]

class LibraryMissing(RuntimeError):
    """No ISA-L can be used; the message says what to install, and why each found was refused."""

def bind() -> None:
    """Binds the library, once. Raises LibraryMissing."""

def library() -> tuple[str, str]:
    """Name with version, and path, of the library. Raises LibraryMissing."""

class Codec:
    """One layout: `data_count` data shards and `parity_count` parity shards, 16 at most together.

    Raises ValueError for another layout, and LibraryMissing. For any number of threads.
    """

    def __init__(self, data_count: int, parity_count: int) -> None: ...
    @property
    def data_count(self) -> int: ...
    @property
    def parity_count(self) -> int: ...
    def prove(self) -> int:
        """How many subsets of `data_count` shards there are; each of them can be decoded.

        To be called before a layout is used. Raises ArithmeticError where one cannot.
        """

    def encode(self, data: Sequence[Buffer], parity: Sequence[Buffer]) -> None:
        """Writes the parity of the data shards into the buffers of `parity`.

        Raises ValueError where counts or lengths do not fit.
        """

    def update(self, index: int, before: Buffer, after: Buffer, parity: Sequence[Buffer]) -> None:
        """Changes the parity for data shard `index`, which changes from `before` to `after`.

        Raises ValueError where counts or lengths do not fit.
        """

    def reconstruct(self, there: Mapping[int, Buffer], wanted: Mapping[int, Buffer]) -> None:
        """Writes shards into the buffers of `wanted` (by number) from those that are `there`.

        Data and parity alike. Raises ValueError where fewer than `data_count` are there, or numbers
        or lengths do not fit.
        """
