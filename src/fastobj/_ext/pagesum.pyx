"""Sums of the pages of SQLite databases, put in and compared by a VFS of its own."""

from libc.stdint cimport uint8_t, uint32_t

import os

from fastobj._ext.crc cimport (
    FO_CPU_OK,
    fo_cpu_message,
    fo_cpu_status,
    fo_crc_init,
    fo_crc_isa,
)

VERSION = 1
PAGE_BYTES = FO_PAGE_BYTES
RESERVED_BYTES = FO_PAGE_RESERVED_BYTES
ENTRY_POINT = "fo_pagesum_init"

cdef fo_cpu_status _status = fo_crc_init()
if _status != FO_CPU_OK:
    raise ImportError(fo_cpu_message(_status).decode())

ISA = fo_crc_isa().decode()


def register(str name not None, base=None):
    """Registers the VFS over the one named `base`, or over the default one. Raises OSError.

    Before that SQLite has loaded the file of this module as an extension, by ENTRY_POINT.
    """
    cdef bytes base_name
    cdef const char *at = NULL
    cdef int status
    if base is not None:
        base_name = base.encode()
        at = base_name
    status = fo_pagesum_register(name.encode(), at)
    if status:
        raise OSError(-status, os.strerror(-status))


def stamped(bytes page not None, uint32_t number):
    """The page with its sum in its last 8 bytes."""
    cdef bytearray made = bytearray(page)
    if len(made) != FO_PAGE_BYTES:
        raise ValueError(f"a page has {FO_PAGE_BYTES} bytes, not {len(made)}")
    fo_page_stamp(<uint8_t *><char *>made, number)
    return bytes(made)


def verifies(bytes page not None, uint32_t number):
    """Whether a page is what was written under that number, or was never written."""
    if len(page) != FO_PAGE_BYTES:
        raise ValueError(f"a page has {FO_PAGE_BYTES} bytes, not {len(page)}")
    return bool(fo_page_verifies(<const uint8_t *><const char *>page, number))
