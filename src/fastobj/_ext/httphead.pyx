"""Heads of HTTP/1.1: the ordinary one of a request, and that of a response, each in one pass."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Contains, PyDict_SetItem
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fastobj._ext.fo_common cimport slice_of

VERSION = 1
ISA = "generic"


cdef list _all(const char *const *texts):
    found = []
    while texts[0] != NULL:
        found.append(<bytes>texts[0])
        texts += 1
    return found


# One object for each, whose hash is computed once.
cdef list _methods = _all(fo_head_methods)
cdef list _names = _all(fo_head_names)


cdef inline bytes _bytes(fo_slice slice):
    return PyBytes_FromStringAndSize(<const char *>slice.at, <Py_ssize_t>slice.length)


cdef inline bytes _name(const fo_head_field *field):
    if field.known != FO_HEAD_UNKNOWN:
        return <bytes>_names[field.known]
    cdef bytes lower = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>field.name.length)
    fo_head_lower(field.name, <uint8_t *>PyBytes_AS_STRING(lower))
    return lower


cdef tuple _fields(const fo_head *head):
    cdef list headers = []
    cdef dict index = {}
    cdef size_t at
    cdef bytes name, value
    for at in range(head.field_count):
        name, value = _name(&head.fields[at]), _bytes(head.fields[at].value)
        headers.append((name, value))
        if not PyDict_Contains(index, name):
            PyDict_SetItem(index, name, value)
    return headers, index


def read(bytearray received not None, Py_ssize_t stop):
    """The head at the start of `received[:stop]`; None where there is no ordinary one."""
    cdef fo_head head
    cdef fo_slice bytes_, path, query
    bytes_.at = <const uint8_t *>PyByteArray_AS_STRING(received)
    bytes_.length = <size_t>max(0, min(stop, PyByteArray_GET_SIZE(received)))
    if fo_head_read(bytes_, &head) != FO_HEAD_OK:
        return None
    path = query = head.target
    path.length = head.path_size
    query.at += head.path_size
    query.length -= head.path_size
    if query.length:  # its question mark
        query.at += 1
        query.length -= 1
    headers, index = _fields(&head)
    return (
        head.size,
        <bytes>_methods[head.method],
        _bytes(head.target),
        _bytes(path),
        _bytes(query),
        headers,
        index,
        head.length,
        head.keep_alive != 0,
        head.expects_continue != 0,
    )


cdef inline uint8_t *_copy(uint8_t *out, bytes text) noexcept:
    memcpy(out, PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text))
    return out + PyBytes_GET_SIZE(text)


def render(bytes start not None, list headers not None, bytes end not None):
    """`start`, a line for each header, and `end`, one behind the other."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(start) + PyBytes_GET_SIZE(end)
    cdef bytes name, value, head
    cdef uint8_t *out
    for name, value in headers:
        if name is None or value is None:
            raise TypeError("a header is a tuple of two bytes")
        if not (fo_head_is_clean(slice_of(name)) and fo_head_is_clean(slice_of(value))):
            raise ValueError("a response header holds a control character")
        size += PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value) + 4
    head = PyBytes_FromStringAndSize(NULL, size)
    out = _copy(<uint8_t *>PyBytes_AS_STRING(head), start)
    for name, value in headers:
        out = _copy(out, name)
        memcpy(out, b": ", 2)
        out = _copy(out + 2, value)
        memcpy(out, b"\r\n", 2)
        out += 2
    _copy(out, end)
    return head
