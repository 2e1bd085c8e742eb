"""Reed-Solomon over ISA-L, which is found and bound when it is first needed.

No path of the server uses it yet: it is for volumes whose bodies are spread over drives.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer)
from libc.stdint cimport uint8_t, uint32_t

import threading

# Below this, counted over the shards that are read, a call takes less time than giving the GIL
# away and asking it back.
cdef enum:
    GIL_HELD_BYTES_MAX = 4096
    SHARDS_MAX = FO_RS_SHARDS_MAX  # of the arrays below

VERSION = 1
ISA = "chosen by ISA-L"

LIBRARY_MISSING = (
    "Reed-Solomon needs ISA-L 2.30 or later, and none can be used: install the package pyeclib, "
    "which carries one (pip install 'fastobj[erasure]'), or your system's own (apt install "
    "libisal2, dnf install isa-l)"
)
_lock = threading.Lock()


class LibraryMissing(RuntimeError):
    """No ISA-L can be used; the message says what to install, and why each found was refused."""


def _candidates():
    """Names and paths under which the library may be, the best first."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        carried = distribution("pyeclib")
    except PackageNotFoundError:
        carried = None
    for path in (carried.files or ()) if carried is not None else ():
        if path.parent.name == "pyeclib.libs" and path.name.startswith("libisal-pyeclib.so"):
            yield str(carried.locate_file(path))
    yield "libisal.so.2"


def bind():
    """Binds the library, once. Raises LibraryMissing."""
    cdef char why[512]
    cdef bytes path
    with _lock:
        if fo_rs_path()[0]:
            return
        refused = []
        for name in _candidates():
            path = name.encode()
            if fo_rs_bind(path, why, sizeof(why)) == FO_RS_OK:
                return
            refused.append((<bytes>why).decode(errors="replace"))
    raise LibraryMissing(f"{LIBRARY_MISSING}. Tried: {'; '.join(refused)}")


def library():
    """Name with version, and path, of the library. Raises LibraryMissing."""
    bind()
    return f"ISA-L {fo_rs_version().decode()}", fo_rs_path().decode()


cdef class _Shards:
    """Buffers of one length, held until `release`; the places of None are empty."""
    cdef Py_buffer views[SHARDS_MAX]
    cdef uint8_t *at[SHARDS_MAX]
    cdef uint32_t present
    cdef Py_ssize_t length

    def __cinit__(self):
        self.length = -1

    cdef int hold(self, int shard, buffer, int flags) except -1:
        PyObject_GetBuffer(buffer, &self.views[shard], flags)
        self.present |= <uint32_t>1 << shard
        self.at[shard] = <uint8_t *>self.views[shard].buf
        if self.length < 0:
            self.length = self.views[shard].len
            if self.length > FO_RS_LENGTH_MAX:
                raise ValueError(f"a shard has at most {FO_RS_LENGTH_MAX} bytes")
        if self.views[shard].len != self.length:
            raise ValueError(
                f"shards of {self.length} and of {self.views[shard].len} bytes in one stripe")
        return 0

    cdef void release(self) noexcept:
        cdef int shard
        for shard in range(SHARDS_MAX):
            if self.present >> shard & 1:
                PyBuffer_Release(&self.views[shard])
        self.present = 0

    def __dealloc__(self):
        self.release()


cdef int _hold_all(_Shards shards, buffers, unsigned first, unsigned count, int flags) except -1:
    """Holds exactly so many buffers, the first of them as shard `first`."""
    if len(buffers) != count:
        raise ValueError(f"{len(buffers)} shards where the layout has {count}")
    for index, buffer in enumerate(buffers):
        shards.hold(first + <int>index, buffer, flags)
    return 0


cdef class Codec:
    """One layout: `data_count` data shards and `parity_count` parity shards, numbered in a row."""
    cdef fo_rs_codec codec

    def __cinit__(self, unsigned data_count, unsigned parity_count):
        bind()
        if fo_rs_init(&self.codec, data_count, parity_count) != FO_RS_OK:
            raise ValueError(
                f"no layout of {data_count} data and {parity_count} parity shards: each is 1 or "
                f"more, and both together are at most {FO_RS_SHARDS_MAX}")

    @property
    def data_count(self):
        return self.codec.data_count

    @property
    def parity_count(self):
        return self.codec.parity_count

    def prove(self):
        """How many subsets of `data_count` shards there are; each of them can be decoded."""
        cdef uint32_t count = 0
        cdef fo_rs_status status
        with nogil:
            status = fo_rs_prove(&self.codec, &count)
        if status != FO_RS_OK:
            lost = [shard for shard in range(self.codec.data_count + self.codec.parity_count)
                    if not count >> shard & 1]
            raise ArithmeticError(
                f"{self.codec.data_count}+{self.codec.parity_count} shards cannot be used: "
                f"without {lost} nothing could be decoded")
        return count

    def encode(self, data, parity):
        """Writes the parity of the data shards into the buffers of `parity`."""
        cdef _Shards shards = _Shards()
        cdef unsigned data_count = self.codec.data_count
        _hold_all(shards, data, 0, data_count, PyBUF_SIMPLE)
        _hold_all(shards, parity, data_count, self.codec.parity_count, PyBUF_WRITABLE)
        if shards.length * data_count > GIL_HELD_BYTES_MAX:
            with nogil:
                fo_rs_encode(&self.codec, shards.length, shards.at, shards.at + data_count)
        else:
            fo_rs_encode(&self.codec, shards.length, shards.at, shards.at + data_count)
        shards.release()

    def update(self, unsigned index, before, after, parity):
        """Changes the parity for data shard `index`, which changes from `before` to `after`."""
        cdef _Shards shards = _Shards()
        if index >= self.codec.data_count:
            raise ValueError(f"{index} is no data shard: there are {self.codec.data_count}")
        _hold_all(shards, parity, 0, self.codec.parity_count, PyBUF_WRITABLE)
        cdef _Shards change = _Shards()
        change.length = shards.length
        _hold_all(change, (before, after), 0, 2, PyBUF_SIMPLE)
        if shards.length > GIL_HELD_BYTES_MAX:
            with nogil:
                fo_rs_update(
                    &self.codec, index, shards.length, change.at[0], change.at[1], shards.at)
        else:
            fo_rs_update(&self.codec, index, shards.length, change.at[0], change.at[1], shards.at)
        change.release()
        shards.release()

    def reconstruct(self, there, wanted):
        """Writes shards into the buffers of `wanted` (by number) from those that are `there`."""
        cdef _Shards shards = _Shards()
        cdef unsigned total = self.codec.data_count + self.codec.parity_count
        cdef uint32_t present
        cdef fo_rs_status status
        self._hold_named(shards, there, total, PyBUF_SIMPLE)
        present = shards.present
        self._hold_named(shards, wanted, total, PyBUF_WRITABLE)
        cdef uint32_t targets = shards.present & ~present
        if shards.length * self.codec.data_count > GIL_HELD_BYTES_MAX:
            with nogil:
                status = fo_rs_reconstruct(
                    &self.codec, shards.length, shards.at, present, targets)
        else:
            status = fo_rs_reconstruct(&self.codec, shards.length, shards.at, present, targets)
        shards.release()
        if status == FO_RS_TOO_FEW:
            raise ValueError(
                f"{len(there)} of {total} shards are there, and {self.codec.data_count} are needed")
        if status != FO_RS_OK:
            raise ArithmeticError(f"the shards {sorted(there)} cannot be decoded")

    cdef int _hold_named(self, _Shards shards, named, unsigned total, int flags) except -1:
        cdef unsigned shard
        for number, buffer in named.items():
            shard = number
            if shard >= total:
                raise ValueError(f"{number} is no shard: there are {total}")
            if shards.present >> shard & 1:
                raise ValueError(f"shard {number} is both there and wanted")
            shards.hold(<int>shard, buffer, flags)
        return 0
