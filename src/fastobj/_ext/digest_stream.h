/* What MD5, SHA-1 and SHA-256 have in common: blocks of 64 bytes, a state of 32-bit words, and the
 * padding of the last block (RFC 1321, 3.1 and 3.2; FIPS 180-4, 5.1.1). */
#ifndef FO_DIGEST_STREAM_H
#define FO_DIGEST_STREAM_H

#include "fo_common.h"

#define FO_DIGEST_BLOCK_BYTES 64
#define FO_DIGEST_LENGTH_AT (FO_DIGEST_BLOCK_BYTES - 8) /* where the last block says the length */

/* A running digest: plain memory, to be copied, kept and gone on with by any code. */
typedef struct {
    uint32_t state[8]; /* MD5 uses four of the words, SHA-1 five, SHA-256 all */
    uint64_t length;   /* bytes so far; the last length % 64 of them wait in `block` */
    uint8_t block[FO_DIGEST_BLOCK_BYTES];
} fo_running;

/* Advances a state over whole blocks. */
typedef void fo_compress(uint32_t *state, const uint8_t *at, size_t block_count);

static inline size_t fo_running_waiting(const fo_running *hash)
{
    return (size_t)(hash->length % FO_DIGEST_BLOCK_BYTES);
}

/* Takes what the block under way has room for and returns how much that was. */
static inline size_t fo_running_fill(fo_running *hash, const uint8_t *at, size_t length)
{
    const size_t waiting = fo_running_waiting(hash);
    const size_t room = FO_DIGEST_BLOCK_BYTES - waiting;
    const size_t taken = length < room ? length : room;
    fo_append(hash->block + waiting, at, taken);
    hash->length += taken;
    return taken;
}

static inline void fo_running_add(fo_running *hash, fo_compress *compress, const uint8_t *at,
                                  size_t length)
{
    if (!length)
        return; /* `at` may be NULL then */
    if (fo_running_waiting(hash)) {
        const size_t taken = fo_running_fill(hash, at, length);
        at += taken, length -= taken;
        if (fo_running_waiting(hash))
            return;
        compress(hash->state, hash->block, 1);
    }
    const size_t whole = length - length % FO_DIGEST_BLOCK_BYTES;
    if (whole)
        compress(hash->state, at, whole / FO_DIGEST_BLOCK_BYTES);
    hash->length += whole;
    fo_running_fill(hash, at + whole, length - whole);
}

/* Ends the text in the block under way; 1 when the length has no room left in it, so that a block
 * of its own follows. */
static inline int fo_running_pad(fo_running *hash)
{
    size_t used = fo_running_waiting(hash);
    hash->block[used++] = 0x80;
    memset(hash->block + used, 0, FO_DIGEST_BLOCK_BYTES - used);
    return used > FO_DIGEST_LENGTH_AT;
}

/* Writes the length into the last block, which is then to be compressed. */
static inline void fo_running_put_length(fo_running *hash, int is_big_endian)
{
    const uint64_t bits = hash->length * 8;
    uint8_t *at = hash->block + FO_DIGEST_LENGTH_AT;
    if (is_big_endian)
        fo_store_be64(at, bits);
    else
        fo_store_le64(at, bits);
}

static inline void fo_running_write(const fo_running *hash, uint8_t *digest, size_t word_count,
                                    int is_big_endian)
{
    for (size_t word = 0; word < word_count; word++) {
        if (is_big_endian)
            fo_store_be32(digest + 4 * word, hash->state[word]);
        else
            fo_store_le32(digest + 4 * word, hash->state[word]);
    }
}

/* What is left of the text: the padded block, and the digest. */
static inline void fo_running_finish(fo_running *hash, fo_compress *compress, uint8_t *digest,
                                     size_t word_count, int is_big_endian)
{
    if (fo_running_pad(hash)) {
        compress(hash->state, hash->block, 1);
        memset(hash->block, 0, FO_DIGEST_BLOCK_BYTES);
    }
    fo_running_put_length(hash, is_big_endian);
    compress(hash->state, hash->block, 1);
    fo_running_write(hash, digest, word_count, is_big_endian);
}

#endif
