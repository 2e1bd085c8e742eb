"""Entries of a listing as XML, straight from encoded object records."""

from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc

from fastobj._ext.fo_common cimport slice_of

VERSION = 1
ISA = "generic"

fo_xmlout_init()


def entries(list rows not None, bytes name not None, bytes tail not None, bint url):
    """The elements `name` of (key, record) pairs, one behind the other; `tail` ends each.

    Raises ValueError, with the pair's index, for a record that it cannot read.
    """
    cdef fo_xmlout_style style
    cdef size_t room = 0
    cdef uint8_t *start
    cdef uint8_t *at
    cdef Py_ssize_t index
    style.name, style.tail, style.url = slice_of(name), slice_of(tail), url
    for row in rows:
        room += fo_xmlout_entry_bytes_max(&style, <size_t>PyBytes_GET_SIZE(<bytes?>row[0]))
    start = at = <uint8_t *>malloc(room + 1)
    if start == NULL:
        raise MemoryError
    try:
        for index in range(len(rows)):
            row = rows[index]
            if fo_xmlout_entry(
                &at, &style, slice_of(<bytes?>row[0]), slice_of(<bytes?>row[1])
            ) != FO_XMLOUT_OK:
                raise ValueError(index)
        return PyBytes_FromStringAndSize(<const char *>start, at - start)
    finally:
        free(start)
