"""C functions of the pagesum kernel, declared for its own .pyx only."""

from libc.stdint cimport uint8_t, uint32_t


cdef extern from "pagesum_impl.h" nogil:
    enum:
        FO_PAGE_BYTES
        FO_PAGE_RESERVED_BYTES

    void fo_page_stamp(uint8_t *page, uint32_t number)
    int fo_page_verifies(const uint8_t *page, uint32_t number)
    int fo_pagesum_register(const char *name, const char *base)
