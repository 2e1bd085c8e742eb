"""CRC32, CRC32C and CRC64NVME of anything with the buffer protocol, chainable like zlib.crc32.

`value` is 0 at first and the earlier result afterwards; a value outside the width of the sum is an
OverflowError. The GIL is released for more than 4096 bytes. `ISA` names the code that was chosen.
The classes are the same in the shape of hashlib's digests; `digest` is big-endian, as S3 writes it.
"""

from typing import Final, final

from typing_extensions import Buffer

ISA: Final[str]
VERSION: Final[int]

def crc32(data: Buffer, value: int = 0) -> int: ...
def crc32c(data: Buffer, value: int = 0) -> int: ...
def crc64nvme(data: Buffer, value: int = 0) -> int: ...

class RunningCrc:
    """A running sum."""

    def update(self, data: Buffer, /) -> None: ...
    def digest(self) -> bytes: ...

@final
class Crc32(RunningCrc): ...

@final
class Crc32c(RunningCrc): ...

@final
class Crc64Nvme(RunningCrc): ...
