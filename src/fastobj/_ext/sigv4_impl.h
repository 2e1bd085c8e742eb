/* AWS Signature Version 4 for S3: canonical request, signature, signing key.
 *
 * All bytes of a request are as on the wire and may be anything; no function reads past a slice or
 * keeps one. What S3 refuses (a header named as signed that is absent, an old date, a wrong region)
 * is the caller's to refuse before. The rules are in tests/reference/sigv4.py, line by line. */
#ifndef FO_SIGV4_IMPL_H
#define FO_SIGV4_IMPL_H

#include "fo_common.h"
#include "fo_cpu.h"

#define FO_SIGV4_SIGNATURE_BYTES 64

/* No canonical request is longer: heads are bounded far below by HTTP, but a signed-headers list
 * that repeats the name of a large header would multiply it. */
#define FO_SIGV4_CANONICAL_BYTES_MAX ((size_t)1 << 20)

typedef enum {
    FO_SIGV4_OK = 0,
    FO_SIGV4_TOO_LARGE = -1,
    FO_SIGV4_NO_MEMORY = -2,
    /* A part that is copied as it stands holds a line feed: the text could then be that of another
     * request too. HTTP lets none through, but a presigned query can carry %0A. */
    FO_SIGV4_LINE_FEED = -3,
} fo_sigv4_status;

typedef struct {
    fo_slice name, value; /* name in lower case */
} fo_header;

typedef struct {
    fo_slice method, path, query;
    const fo_header *headers; /* in wire order; names may repeat */
    size_t header_count;
    fo_slice signed_headers; /* "host;x-amz-date" */
    fo_slice payload_hash;
    fo_slice amz_date, scope; /* "20261120T101112Z", "20261120/us-east-1/s3/aws4_request" */
    fo_slice key;             /* result of fo_sigv4_signing_key */
} fo_sigv4_request;

/* Bytes of scratch that fo_sigv4_canonical needs for this request. */
fo_sigv4_status fo_sigv4_measure(const fo_sigv4_request *request, size_t *scratch_bytes);

/* Writes the canonical request into `scratch` (of the measured size, aligned as malloc does) and
 * returns the part of it that holds the text. */
fo_slice fo_sigv4_canonical(const fo_sigv4_request *request, void *scratch);

/* The signature as lower-case hex. */
fo_sigv4_status fo_sigv4_sign(const fo_sigv4_request *request,
                              uint8_t signature[FO_SIGV4_SIGNATURE_BYTES]);

/* Whether what must be signed is: Host, every x-amz-* header, and nothing that is not there. */
int fo_sigv4_covers(const fo_header *headers, size_t header_count, fo_slice signed_headers);

void fo_sigv4_signing_key(fo_slice secret, fo_slice date, fo_slice region, fo_slice service,
                          uint8_t key[32]);

/* 1 when equal; the time depends on the lengths alone. */
int fo_sigv4_equal(fo_slice a, fo_slice b);

#endif
