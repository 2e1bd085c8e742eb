/* aws-chunked bodies of S3, decoded in place: chunk heads, chunk signatures, trailers.
 *
 * The struct is the caller's and nothing is allocated; a body may be fed in pieces that are cut
 * anywhere. What comes out is payload that is not yet vouched for: a chunk's signature
 * is known to be right when the feed has ended that took its last byte, and the body is whole when
 * fo_chunked_is_complete says so at its end. The rules are in tests/reference/chunked.py.
 *
 * A signature covers the one before it, but a chunk's own hash covers its payload alone: chunks
 * that one feed brings are hashed together, in lanes, and their signatures follow in order.
 *
 *   body     = *(size [";chunk-signature=" 64HEX] CRLF payload CRLF)
 *              "0" [";chunk-signature=" 64HEX] CRLF [trailers] [CRLF]
 *   trailers = *(name ":" value CRLF) / 1*(name ":" value LF) CRLF
 *              ["x-amz-trailer-signature:" 64HEX CRLF]
 *
 * The looser parts are those of clients that work with S3: minio-go ends trailers by LF and their
 * list by CRLF; older aws-sdk-java-v2 and aws-sdk-js-v3 leave out the last CRLF. */
#ifndef FO_CHUNKED_IMPL_H
#define FO_CHUNKED_IMPL_H

#include "digest_impl.h"
#include "digest_sha256.h"
#include "fo_common.h"
#include "sigv4_impl.h"

/* S3's limit of one PUT or part; the CRT clients send a whole part as one chunk. */
#define FO_CHUNKED_SIZE_MAX (UINT64_C(5) << 30)
#define FO_CHUNKED_SIZE_DIGITS_MAX 16

/* Room for the trailers that came and, behind them, the line under way. */
#define FO_CHUNKED_TRAILER_BYTES_MAX (16 << 10)

/* The longest chunk head: digits, ";chunk-signature=", the signature, CRLF. */
#define FO_CHUNKED_HEAD_BYTES_MAX (FO_CHUNKED_SIZE_DIGITS_MAX + 17 + FO_SIGV4_SIGNATURE_BYTES + 2)

typedef enum {
    FO_CHUNKED_SIGNED,           /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
    FO_CHUNKED_SIGNED_TRAILER,   /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER */
    FO_CHUNKED_UNSIGNED_TRAILER, /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
} fo_chunked_mode;

typedef enum {
    FO_CHUNKED_OK = 0,
    FO_CHUNKED_BAD_SIZE = 1,      /* a chunk size is no number, or beyond the limit */
    FO_CHUNKED_BAD_FRAMING = 2,   /* the head of a chunk or its end is malformed */
    FO_CHUNKED_BAD_SIGNATURE = 3, /* of a chunk, or of the trailers */
    FO_CHUNKED_BAD_LENGTH = 4,    /* the chunks are not as long as the decoded length */
    FO_CHUNKED_BAD_TRAILER = 5,   /* malformed, too long, unsigned, or signed where none is */
    FO_CHUNKED_AFTER_END = 6,     /* bytes stand behind the end */
} fo_chunked_status;

/* What the request's own signature gives. */
typedef struct {
    fo_slice key;             /* result of fo_sigv4_signing_key */
    fo_slice amz_date, scope; /* as in fo_sigv4_request, and like there without a line feed */
    const uint8_t *seed;      /* the signature, FO_SIGV4_SIGNATURE_BYTES of it */
} fo_chunked_signing;

typedef enum {
    FO_CHUNKED_HEAD,
    FO_CHUNKED_PAYLOAD,
    FO_CHUNKED_PAYLOAD_END,
    FO_CHUNKED_TRAILERS,
    FO_CHUNKED_CLOSING,
    FO_CHUNKED_END,
} fo_chunked_state;

typedef struct {
    fo_chunked_mode mode;
    fo_chunked_state state;
    fo_chunked_status status;
    int is_cr_seen;         /* in PAYLOAD_END and CLOSING: the CR of the CRLF has passed */
    int is_lf_pending;      /* in TRAILERS: one ended by LF, so a CRLF must end their list */
    int is_list_over;       /* in TRAILERS: that CRLF has passed */
    int is_trailer_vouched; /* in TRAILERS: their signature has passed */
    int is_plan;            /* begun by fo_chunked_plan */
    uint64_t payload_left;  /* of this chunk */
    uint64_t decoded_left;  /* of the body, beyond this chunk */
    uint64_t decoded;       /* of the body, so far */
    uint64_t chunk_bytes;   /* payload of this chunk, of the last one behind it */
    /* Keyed, and past the lines that all chunks (the trailers) have in common. */
    fo_hmac chunk_mac, trailer_mac;
    fo_sha256 payload;
    uint8_t previous[FO_SIGV4_SIGNATURE_BYTES]; /* signature of what came before */
    uint8_t sent[FO_SIGV4_SIGNATURE_BYTES];     /* signature that this chunk claims */
    uint8_t head[FO_CHUNKED_HEAD_BYTES_MAX];
    size_t head_length;
    uint8_t *trailers;
    size_t trailer_length;  /* of the whole ones: lines "name:value\n", names in lower case */
    size_t trailer_partial; /* of the one under way, behind them */
} fo_chunked;

/* Begins a body that decodes to `decoded_length` bytes. `signing` may be NULL in unsigned mode, and
 * `trailers` (FO_CHUNKED_TRAILER_BYTES_MAX bytes, kept until the end) in the mode without any.
 * fo_sha256_init and fo_digest_init must have been called. */
void fo_chunked_start(fo_chunked *chunked, fo_chunked_mode mode, uint64_t decoded_length,
                      const fo_chunked_signing *signing, uint8_t *trailers);

/* Decodes the next `length` bytes of the body, in place: *produced bytes of payload stand at the
 * front of `buffer` afterwards. *consumed is `length`, or up to where the error showed. An error
 * stays. */
fo_chunked_status fo_chunked_feed(fo_chunked *chunked, uint8_t *buffer, size_t length,
                                  size_t *consumed, size_t *produced);

/* Begins a look ahead at the same body: heads are read as by fo_chunked_feed, signatures are not
 * verified, and payload is neither moved nor hashed. It is for fo_chunked_look alone. */
void fo_chunked_plan(fo_chunked *plan, fo_chunked_mode mode, uint64_t decoded_length);

/* Looks at the next bytes of the body, up to where `payload_max` bytes of payload have passed:
 * *consumed bytes have *payload bytes of payload among them. A malformed body ends the plan where
 * feeding it would end, unless a wrong signature stands before. */
fo_chunked_status fo_chunked_look(fo_chunked *plan, const uint8_t *bytes, size_t length,
                                  uint64_t payload_max, size_t *consumed, uint64_t *payload);

/* What the framing will take beside the next `payload` bytes of payload if the chunks stay as long
 * as this one; 0 where there was none yet. */
uint64_t fo_chunked_framing(const fo_chunked *plan, uint64_t payload);

/* Whether the body may end here: all payload is there and every signature was right. Whether the
 * trailers that the request announced are among those that came is the caller's to check. */
int fo_chunked_is_complete(const fo_chunked *chunked);

/* The trailers but for their signature, one "name:value\n" each; none before the body is complete.
 */
fo_slice fo_chunked_trailers(const fo_chunked *chunked);

const char *fo_chunked_message(fo_chunked_status status);

#endif
