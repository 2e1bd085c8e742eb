"""What was read lately and never changes, within a bound of bytes. Knows nothing of what it is."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Something that knows what it takes in memory."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory."""
        ...


Value = TypeVar("Value", bound=Sized)


class Kept(Generic[Value]):
    """Values by their data ids; at most `bytes_max` in all, those that were used last."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._values: dict[bytes, Value] = {}  # in the order of their use

    def get(self, data_id: bytes) -> Value | None:
        """The value, or None where it is not kept."""
        value = self._values.pop(data_id, None)
        if value is not None:
            self._values[data_id] = value
        return value

    def keep(self, data_id: bytes, value: Value) -> None:
        """Keeps a value that fits, in the place of others."""
        size = value.memory_bytes
        if size > self._bytes_max or data_id in self._values:
            return
        while self._bytes + size > self._bytes_max:
            oldest = next(iter(self._values))
            self._bytes -= self._values.pop(oldest).memory_bytes
        self._values[data_id] = value
        self._bytes += size

    def clear(self) -> None:
        """Keeps nothing any more."""
        self._values.clear()
        self._bytes = 0
