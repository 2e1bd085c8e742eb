"""Memory in awkward places: at a chosen alignment, and up to the edge of an unreadable page."""

import ctypes
import mmap

PROT_NONE = 0

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def _address(area: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(area))


class GuardedPage:
    """One page with an unreadable one on either side: a read past either end kills the process."""

    size = mmap.PAGESIZE

    def __enter__(self):
        self._area = mmap.mmap(-1, 3 * self.size)
        self._start = _address(self._area)
        for offset in (0, 2 * self.size):
            self._protect(offset, PROT_NONE)
        return self

    def __exit__(self, *error):
        for offset in (0, 2 * self.size):
            self._protect(offset, mmap.PROT_READ | mmap.PROT_WRITE)
        self._area.close()

    def _protect(self, offset, protection):
        if _libc.mprotect(self._start + offset, self.size, protection) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def _at(self, offset, content):
        view = (ctypes.c_char * len(content)).from_address(self._start + self.size + offset)
        view.raw = content
        return view

    def at_end(self, content):
        """`content` with its last byte at the last readable one."""
        return self._at(self.size - len(content), content)

    def at_start(self, content):
        """`content` with its first byte at the first readable one."""
        return self._at(0, content)


def aligned(content: bytes, alignment: int) -> memoryview:
    """`content` at an address that is `alignment` past a multiple of 64."""
    area = bytearray(len(content) + 128)
    offset = -ctypes.addressof(ctypes.c_char.from_buffer(area)) % 64 + alignment
    view = memoryview(area)[offset : offset + len(content)]
    view[:] = content
    return view
