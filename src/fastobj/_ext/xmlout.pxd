"""What xmlout_impl.h declares."""

from libc.stdint cimport uint8_t

from fastobj._ext.fo_common cimport fo_slice


cdef extern from "xmlout_impl.h" nogil:
    ctypedef enum fo_xmlout_status:
        FO_XMLOUT_OK
        FO_XMLOUT_RECORD

    ctypedef struct fo_xmlout_style:
        fo_slice name
        fo_slice tail
        int url

    void fo_xmlout_init()
    size_t fo_xmlout_entry_bytes_max(const fo_xmlout_style *style, size_t key_length)
    fo_xmlout_status fo_xmlout_entry(
        uint8_t **out, const fo_xmlout_style *style, fo_slice key, fo_slice record
    )
