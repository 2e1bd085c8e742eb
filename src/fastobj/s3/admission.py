"""How much a worker takes on at once: requests, and bodies that must be in memory as a whole.

What is beyond is answered 503 SlowDown with Retry-After, before it has cost anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastobj.core import codes
from fastobj.core.errors import S3Error

REQUESTS: Final = "requests"
WHOLE_BODIES: Final = "whole_bodies"


class Admission:
    """Counts what is under way. `refused` is called with the name of the limit that was met.

    `whole_bytes_max` bounds bodies that are read before their signature can be verified.
    """

    __slots__ = ("_refused", "_requests", "_requests_max", "_whole_bytes", "_whole_bytes_max")

    def __init__(
        self, requests_max: int, whole_bytes_max: int, refused: Callable[[str], None]
    ) -> None:
        self._requests_max = requests_max
        self._whole_bytes_max = whole_bytes_max
        self._refused = refused
        self._requests = 0
        self._whole_bytes = 0

    def enter(self) -> None:
        """A request begins; `check` says whether it may go on, `leave` ends it either way."""
        self._requests += 1

    def leave(self, whole_bytes: int) -> None:
        """A request has ended, answered or not; gives back what `hold` gave it."""
        self._requests -= 1
        self._whole_bytes -= whole_bytes

    def check(self) -> None:
        """Raises SlowDown where more requests are under way than may be."""
        if self._requests > self._requests_max:
            raise self._refusal(REQUESTS)

    def hold(self, size: int) -> int:
        """Room for a body of `size` bytes in memory. Raises SlowDown where there is none."""
        if self._whole_bytes + size > self._whole_bytes_max:
            raise self._refusal(WHOLE_BODIES)
        self._whole_bytes += size
        return size

    def _refusal(self, limit: str) -> S3Error:
        self._refused(limit)
        return S3Error(codes.SLOW_DOWN)
