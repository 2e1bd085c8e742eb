"""What httphead_impl.h declares."""

from libc.stdint cimport uint8_t, uint64_t

from fastobj._ext.fo_common cimport fo_slice


cdef extern from "httphead_impl.h" nogil:
    enum:
        FO_HEAD_FIELDS_MAX
        FO_HEAD_UNKNOWN

    ctypedef enum fo_head_status:
        FO_HEAD_OK
        FO_HEAD_INCOMPLETE
        FO_HEAD_OTHER

    ctypedef struct fo_head_field:
        fo_slice name
        fo_slice value
        int known

    ctypedef struct fo_head:
        size_t size
        int method
        fo_slice target
        size_t path_size
        uint64_t length
        int keep_alive
        int expects_continue
        size_t field_count
        fo_head_field fields[64]

    const char *const fo_head_methods[]
    const char *const fo_head_names[]

    fo_head_status fo_head_read(fo_slice bytes, fo_head *head)
    void fo_head_lower(fo_slice name, uint8_t *out)
    int fo_head_is_clean(fo_slice text)
