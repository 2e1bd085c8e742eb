/* Entries of a listing as XML, straight from encoded object records.
 *
 * A record is a MessagePack array: format, location, data id, size, etag, time of change in
 * nanoseconds since 1970, headers, metadata, checksums (maps of text to text); anything behind is
 * passed over. Each entry becomes
 *
 *   <NAME><Key/><LastModified/><ETag/><ChecksumAlgorithm/>*<ChecksumType/>?<Size/> TAIL </NAME>
 *
 * with nothing between the elements. Text is UTF-8; what markup and control characters would be is
 * written as references. Nothing here allocates.
 */
#ifndef XMLOUT_IMPL_H
#define XMLOUT_IMPL_H

#include "fo_common.h"

typedef enum {
    FO_XMLOUT_OK = 0,
    FO_XMLOUT_RECORD, /* not a record, or of a newer format, or beyond the limits below */
} fo_xmlout_status;

enum {
    FO_XMLOUT_FORMAT_MAX = 1,
    FO_XMLOUT_ETAG_BYTES_MAX = 128,
    FO_XMLOUT_CHECKSUMS_MAX = 8,
    FO_XMLOUT_ALGORITHM_BYTES_MAX = 16,
};

/* What all entries of a page share. */
typedef struct {
    fo_slice name; /* of the element around each entry */
    fo_slice tail; /* XML behind the size */
    int url;       /* keys are percent-encoded, "/" excepted */
} fo_xmlout_style;

/* Once, before anything else. */
void fo_xmlout_init(void);

/* Bytes that an entry takes at most. */
size_t fo_xmlout_entry_bytes_max(const fo_xmlout_style *style, size_t key_length);

/* Writes one entry to `*out` and moves it behind; where it fails, `*out` stays. */
fo_xmlout_status fo_xmlout_entry(uint8_t **out, const fo_xmlout_style *style, fo_slice key,
                                 fo_slice record);

#endif
