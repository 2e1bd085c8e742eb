/* MD5, SHA-1 and SHA-256, one stream at a time and many together, for this kernel and for others.
 *
 * Another kernel includes this header, lists all digest_*.c files among its sources in setup.py,
 * and calls fo_digest_init() once at import. All functions are thread-safe after that, allocate
 * nothing and know of no state but the one that they are given. */
#ifndef FO_DIGEST_IMPL_H
#define FO_DIGEST_IMPL_H

#include "digest_stream.h"
#include "fo_cpu.h"

#define FO_DIGEST_BYTES_MAX 32

typedef enum { FO_MD5, FO_SHA1, FO_SHA256, FO_DIGEST_COUNT } fo_digest_kind;

/* Chooses the code for this CPU; must precede every other call. To be repeated as fo_crc_init. */
fo_cpu_status fo_digest_init(void);

/* Name of the code that was chosen: "generic", "sha_ni", "avx2" or "avx512". */
const char *fo_digest_isa(fo_digest_kind kind);

/* How many streams the widest of its lanes take; 1 where it has none. */
size_t fo_digest_lanes(fo_digest_kind kind);

/* Length of the digest: 16, 20 or 32. */
size_t fo_digest_bytes(fo_digest_kind kind);

void fo_digest_start(fo_digest_kind kind, fo_running *hash);
void fo_digest_add(fo_digest_kind kind, fo_running *hash, const void *bytes, size_t length);
void fo_digest_finish(fo_digest_kind kind, fo_running *hash, uint8_t *digest);

/* What one of many streams takes next. */
typedef struct {
    fo_running *hash; /* no other input of the call names it */
    const uint8_t *at;
    size_t length;
    uint8_t *digest; /* NULL where more will follow, else where the digest goes */
} fo_digest_input;

/* As fo_digest_add for each input, and fo_digest_finish where it has a digest, but all together:
 * in lanes as far as this machine has any for the algorithm. Inputs may differ in length; lanes
 * fill best when the longest stand first. `at` and `length` are used up. */
void fo_digest_advance(fo_digest_kind kind, fo_digest_input *inputs, size_t count);

#endif
