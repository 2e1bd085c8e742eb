"""AWS Signature Version 4 for S3 in one call: canonical request, signature, verification."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc

from fastobj._ext.fo_common cimport slice_of

cdef enum:
    GIL_HELD_BYTES_MAX = 4096
    SHA256_BYTES = 32
    SIGNATURE_BYTES = 64
    STACK_HEADERS = 64

VERSION = 1

cdef fo_cpu_status _status = fo_sha256_init()
if _status != FO_CPU_OK:
    raise ImportError(fo_cpu_message(_status).decode())

ISA = fo_sha256_isa().decode()


cdef fo_header *_load_headers(tuple rows, fo_header *few) except NULL:
    """The headers of `rows`, which holds their bytes: in `few`, or to be freed like `few`."""
    cdef fo_header *table = few
    cdef bytes name, value
    cdef size_t at = 0
    if len(rows) > STACK_HEADERS:
        table = <fo_header *>malloc(<size_t>len(rows) * sizeof(fo_header))
        if table == NULL:
            raise MemoryError
    try:
        for row in rows:
            # No ValueError from unpacking: verify() takes that for a request too large.
            if type(row) is not tuple or len(<tuple>row) != 2:
                raise TypeError("a header is a tuple of two bytes")
            name, value = <tuple>row
            if name is None or value is None:
                raise TypeError("a header is a tuple of two bytes")
            table[at].name = slice_of(name)
            table[at].value = slice_of(value)
            at += 1
    except TypeError:
        _free_headers(table, few)
        raise
    return table


cdef inline void _free_headers(fo_header *table, fo_header *few) noexcept:
    if table != few:
        free(table)


cdef int _check(fo_sigv4_status status) except -1:
    if status == FO_SIGV4_OK:
        return 0
    if status == FO_SIGV4_TOO_LARGE:
        raise ValueError("canonical request too large")
    if status == FO_SIGV4_LINE_FEED:
        raise ValueError("line feed in a part of the canonical request")
    raise MemoryError


cdef bytes _canonical(const fo_sigv4_request *request):
    cdef size_t scratch_bytes = 0
    _check(fo_sigv4_measure(request, &scratch_bytes))
    cdef void *scratch = malloc(scratch_bytes)
    if scratch == NULL:
        raise MemoryError
    cdef fo_slice text = fo_sigv4_canonical(request, scratch)
    try:
        return (<const char *>text.at)[:text.length]
    finally:
        free(scratch)


cdef bytes _sign(const fo_sigv4_request *request):
    cdef uint8_t signature[SIGNATURE_BYTES]
    _check(fo_sigv4_sign(request, signature))
    return (<const char *>signature)[:SIGNATURE_BYTES]


cdef bytes _run(
    bytes method, bytes path, bytes query, list headers, bytes signed_headers,
    bytes payload_hash, bytes amz_date, bytes scope, bytes key, bint is_signed,
):
    cdef fo_header few[STACK_HEADERS]
    cdef fo_sigv4_request request
    cdef tuple rows = tuple(headers)  # holds the headers, whoever changes the list meanwhile
    cdef fo_header *table = _load_headers(rows, few)
    try:
        request.method = slice_of(method)
        request.path = slice_of(path)
        request.query = slice_of(query)
        request.headers = table
        request.header_count = <size_t>len(rows)
        request.signed_headers = slice_of(signed_headers)
        request.payload_hash = slice_of(payload_hash)
        request.amz_date = slice_of(amz_date)
        request.scope = slice_of(scope)
        request.key = slice_of(key)
        return _sign(&request) if is_signed else _canonical(&request)
    finally:
        _free_headers(table, few)


def covers(list headers not None, bytes signed_headers not None):
    """Whether Host and every x-amz-* header is signed, and every signed header is there."""
    cdef fo_header few[STACK_HEADERS]
    cdef tuple rows = tuple(headers)
    cdef fo_header *table = _load_headers(rows, few)
    cdef int is_covered = fo_sigv4_covers(table, <size_t>len(rows), slice_of(signed_headers))
    _free_headers(table, few)
    return is_covered != 0


def canonical_request(
    bytes method not None, bytes path not None, bytes query not None, list headers not None,
    bytes signed_headers not None, bytes payload_hash not None,
):
    """The canonical request: what a signature covers, and what SignatureDoesNotMatch shows."""
    return _run(
        method, path, query, headers, signed_headers, payload_hash, b"", b"", b"", False
    )


def signature(
    bytes method not None, bytes path not None, bytes query not None, list headers not None,
    bytes signed_headers not None, bytes payload_hash not None, bytes amz_date not None,
    bytes scope not None, bytes key not None,
):
    """The signature that the request ought to carry: 64 lower-case hex digits."""
    return _run(
        method, path, query, headers, signed_headers, payload_hash, amz_date, scope, key, True
    )


def verify(
    bytes method not None, bytes path not None, bytes query not None, list headers not None,
    bytes signed_headers not None, bytes payload_hash not None, bytes amz_date not None,
    bytes scope not None, bytes key not None, bytes signature not None,
):
    """Whether `signature` is the one of the request; one that cannot be signed has none."""
    cdef bytes expected
    try:
        expected = _run(
            method, path, query, headers, signed_headers, payload_hash, amz_date, scope, key, True
        )
    except ValueError:
        return False
    return fo_sigv4_equal(slice_of(expected), slice_of(signature)) != 0


def signing_key(
    bytes secret not None, bytes date not None, bytes region not None, bytes service not None
):
    """The key of one secret for one day, region and service: 32 bytes, worth caching."""
    cdef uint8_t key[SHA256_BYTES]
    fo_sigv4_signing_key(slice_of(secret), slice_of(date), slice_of(region), slice_of(service), key)
    return (<const char *>key)[:SHA256_BYTES]


cdef void _digest(const void *at, size_t length, uint8_t *digest) noexcept nogil:
    cdef fo_sha256 hash
    fo_sha256_start(&hash)
    fo_sha256_add(&hash, at, length)
    fo_sha256_finish(&hash, digest)


cdef void _authenticate(fo_slice key, const void *at, size_t length, uint8_t *digest) noexcept:
    cdef fo_hmac mac
    cdef fo_slice no_prefix
    no_prefix.at = NULL
    no_prefix.length = 0
    fo_hmac_start(&mac, no_prefix, key)
    fo_hmac_add(&mac, at, length)
    fo_hmac_finish(&mac, digest)


def sha256(data):
    """SHA-256 of anything with the buffer protocol: 32 bytes."""
    cdef uint8_t digest[SHA256_BYTES]
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    if view.len > GIL_HELD_BYTES_MAX:
        with nogil:
            _digest(view.buf, <size_t>view.len, digest)
    else:
        _digest(view.buf, <size_t>view.len, digest)
    PyBuffer_Release(&view)
    return (<const char *>digest)[:SHA256_BYTES]


def hmac_sha256(bytes key not None, data):
    """HMAC-SHA-256 of anything with the buffer protocol: 32 bytes. Keeps the GIL: short texts."""
    cdef uint8_t digest[SHA256_BYTES]
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    _authenticate(slice_of(key), view.buf, <size_t>view.len, digest)
    PyBuffer_Release(&view)
    return (<const char *>digest)[:SHA256_BYTES]
