"""Heads of HTTP/1.1: the ordinary one of a request, and that of a response, each in one pass.

`read` gives the head at the start of `received[:stop]`: its size in bytes, blank line included;
method, target, raw path and raw query; headers in their order, with names in lower case and values
without outer blanks; the first value of each name; Content-Length, 0 without one; whether the
client keeps the connection, and whether it waits for 100 Continue.

None where the head is not complete, or is not of the ordinary form: one of five methods, a path of
printable ASCII, HTTP/1.1, exactly one Host, no Transfer-Encoding, nothing that could be read in two
ways. What is wrong with it then, if anything, is for the general parser to say.

`render` puts a response's head together: `start`, a line for each header, `end`. Raises ValueError
for a header with a control character.
"""

from typing import Final

ISA: Final[str]
VERSION: Final[int]

Read = tuple[
    int,
    bytes,
    bytes,
    bytes,
    bytes,
    list[tuple[bytes, bytes]],
    dict[bytes, bytes],
    int,
    bool,
    bool,
]

def read(received: bytearray, stop: int) -> Read | None: ...
def render(start: bytes, headers: list[tuple[bytes, bytes]], end: bytes) -> bytes: ...
