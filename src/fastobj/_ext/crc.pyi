"""CRC32, CRC32C and CRC64NVME of anything with the buffer protocol, chainable like zlib.crc32.

`value` is 0 at first and the earlier result afterwards; a value outside the width of the sum is an
OverflowError. The GIL is released for more than 4096 bytes. `ISA` names the code that was chosen.
"""

from typing import Final

from typing_extensions import Buffer

ISA: Final[str]
VERSION: Final[int]

def crc32(data: Buffer, value: int = 0) -> int: ...
def crc32c(data: Buffer, value: int = 0) -> int: ...
def crc64nvme(data: Buffer, value: int = 0) -> int: ...
