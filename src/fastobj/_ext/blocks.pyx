"""Blocks of the log: transactions with the places of their bodies filled in, and records."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastobj._ext.crc cimport FO_CPU_OK, fo_cpu_message, fo_cpu_status, fo_crc_init, fo_crc_isa
from fastobj._ext.fo_common cimport slice_of

VERSION = 1

cdef fo_cpu_status _status = fo_crc_init()
if _status != FO_CPU_OK:
    raise ImportError(fo_cpu_message(_status).decode())

ISA = fo_crc_isa().decode()


class BodyChanged(ValueError):
    """A body whose sum is not the one that came with it."""


cdef object _refusal(fo_block_status status):
    if status == FO_BLOCK_CHECKSUM:
        return BodyChanged("a body changed on its way into its block")
    if status == FO_BLOCK_OUTSIDE:
        return ValueError("the place of a body lies outside its transaction")
    return ValueError("the transactions outgrew the room kept for them")


cdef class Block:
    """A block of at most `length` bytes whose records begin at `records_offset`."""

    cdef fo_block _block
    cdef fo_block _before
    cdef bytearray _bytes
    cdef readonly Py_ssize_t txns

    def __cinit__(self, Py_ssize_t length, Py_ssize_t records_offset, *, uint32_t volume,
                  uint64_t segment, uint32_t generation, uint64_t offset,
                  bytes counter_key not None):
        if not FO_BLOCK_HEAD_BYTES <= records_offset <= length:
            raise ValueError(f"records at {records_offset} of {length} bytes")
        if len(counter_key) != FO_COUNTER_KEY_BYTES:
            raise ValueError(f"a counter key has {FO_COUNTER_KEY_BYTES} bytes")
        self._bytes = PyByteArray_FromStringAndSize(NULL, length)
        self._block.at = <uint8_t *>PyByteArray_AS_STRING(self._bytes)
        self._block.room = <size_t>length
        self._block.records_offset = <size_t>records_offset
        self._block.volume = volume
        self._block.segment = segment
        self._block.generation = generation
        self._block.offset = offset
        memcpy(self._block.counter_key, PyBytes_AS_STRING(counter_key), FO_COUNTER_KEY_BYTES)
        fo_block_begin(&self._block)
        self._before = self._block

    @property
    def txns_end(self):
        """Where the transactions end."""
        return self._block.txns_end

    @property
    def records_end(self):
        """Where the records end."""
        return self._block.records_end

    @property
    def records(self):
        """How many records there are."""
        return self._block.records

    def add(self, bytes txn not None, places not None, payloads not None):
        """Appends a transaction and the records of its bodies; returns it with their places."""
        cdef fo_slice encoded
        cdef uint8_t *copy = NULL
        cdef Py_ssize_t index
        cdef fo_block before = self._block
        if len(places) != len(payloads):
            raise ValueError(f"{len(payloads)} bodies with {len(places)} places")
        encoded = slice_of(txn)
        cdef fo_block_status status = fo_block_txn(&self._block, encoded, &copy)
        if status != FO_BLOCK_OK:
            raise _refusal(status)
        try:
            for index in range(len(places)):
                self._record(copy, encoded.length, places[index], payloads[index])
        except BaseException:
            self._block = before
            raise
        self._before = before
        self.txns += 1
        if not places:
            return txn
        return PyBytes_FromStringAndSize(<const char *>copy, <Py_ssize_t>encoded.length)

    cdef int _record(self, uint8_t *txn, size_t txn_length, place, payload) except -1:
        cdef fo_block_body body
        cdef Py_buffer view
        cdef fo_block_status status
        cdef bytes data_id = place.data_id
        cdef bytes hint = place.hint
        if len(data_id) != FO_PACKED_DATA_ID_BYTES:
            raise ValueError(f"a data id has {FO_PACKED_DATA_ID_BYTES} bytes, not {len(data_id)}")
        body.data_id = <const uint8_t *>PyBytes_AS_STRING(data_id)
        body.hint = slice_of(hint)
        body.crc = place.crc32c
        body.location_at = place.location_at
        body.counter_at = place.counter_at
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        body.body.at = <const uint8_t *>view.buf
        body.body.length = <size_t>view.len
        status = fo_block_record(&self._block, txn, txn_length, &body)
        PyBuffer_Release(&view)
        if status != FO_BLOCK_OK:
            raise _refusal(status)
        return 0

    def take_back(self):
        """Takes the last transaction back, with its records. Not twice in a row."""
        if self._before.txns_end == self._block.txns_end:
            raise ValueError("no transaction can be taken back")
        self._block = self._before
        self.txns -= 1

    def finish(self, bytes head not None, Py_ssize_t length):
        """The block's CRC, with which it is whole, and its bytes; `head` has none yet."""
        if len(head) != FO_BLOCK_HEAD_BYTES:
            raise ValueError(f"the head of a block has {FO_BLOCK_HEAD_BYTES} bytes")
        if not self._block.records_end <= <size_t>length <= self._block.room:
            raise ValueError(f"a block of {length} bytes has no room for its content")
        cdef uint32_t crc = fo_block_finish(
            &self._block, <const uint8_t *>PyBytes_AS_STRING(head), <size_t>length
        )
        return crc, memoryview(self._bytes)[:length]
