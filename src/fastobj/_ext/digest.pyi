"""MD5, SHA-1 and SHA-256, one stream at a time and many together.

`Md5`, `Sha1` and `Sha256` have the shape of hashlib's objects; each is used by one thread at a
time. The functions advance independent streams together, in the lanes of vector registers where
the machine has them: `ISA` names the code of each algorithm. Buffers may differ in length; lanes
fill best when the longest stand first. All take anything with the buffer protocol (BufferError for
what is not flat) and release the GIL for more than 4096 bytes in all.
"""

from collections.abc import Iterable
from typing import Final, final

from typing_extensions import Buffer

ISA: Final[dict[str, str]]
VERSION: Final[int]

class RunningDigest:
    """A running digest."""

    def update(self, data: Buffer, /) -> None: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...

@final
class Md5(RunningDigest): ...

@final
class Sha1(RunningDigest): ...

@final
class Sha256(RunningDigest): ...

def md5_many(buffers: Iterable[Buffer]) -> list[bytes]: ...
def sha256_many(buffers: Iterable[Buffer]) -> list[bytes]: ...
def md5_update_many(hashes: Iterable[Md5], buffers: Iterable[Buffer]) -> None:
    """ValueError for other than one buffer for each digest, or a digest that is given twice."""

def sha256_update_many(hashes: Iterable[Sha256], buffers: Iterable[Buffer]) -> None:
    """ValueError for other than one buffer for each digest, or a digest that is given twice."""
