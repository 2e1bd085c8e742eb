/* Reed-Solomon over GF(2^8): k data shards, m parity shards, and any k of them give back the rest.
 *
 * The arithmetic is that of ISA-L, which is bound at run time and picks its code for the CPU by
 * itself. Here are the table of its functions, the matrix (Cauchy only: ISA-L's other one has
 * subsets of shards that cannot be decoded) and the choice of rows. One library is bound in a
 * process, so tables are always used by the one that made them: their content is its own affair.
 *
 * Shards are numbered 0 to k+m-1, data first. All shards of a call have one length, and any
 * alignment. The caller owns all memory; nothing is allocated. Thread-safe once bound. */
#ifndef FO_RS_IMPL_H
#define FO_RS_IMPL_H

#include <stddef.h>
#include <stdint.h>

enum {
    FO_RS_SHARDS_MAX = 16,      /* k+m: at most 12,870 subsets have to be proven */
    FO_RS_LENGTH_MAX = 1 << 30, /* bytes of a shard; ISA-L counts them in an int */
    FO_RS_TABLE_BYTES = 32,     /* for each coefficient, by the contract of ec_init_tables */
    /* k*m is largest where both are half of the most. */
    FO_RS_TABLES_BYTES_MAX = FO_RS_TABLE_BYTES * (FO_RS_SHARDS_MAX / 2) * (FO_RS_SHARDS_MAX / 2),
};

typedef enum {
    FO_RS_OK = 0,
    FO_RS_NOT_LOADED = -1, /* no such library, or none for this machine */
    FO_RS_TOO_OLD = -2,    /* it lacks a function that 2.30 has */
    FO_RS_NOT_BOUND = -3,
    FO_RS_BAD_LAYOUT = -4, /* k or m is 0, or k+m is above FO_RS_SHARDS_MAX */
    FO_RS_TOO_FEW = -5,    /* fewer than k shards are there */
    FO_RS_SINGULAR = -6,   /* a subset of k shards cannot be decoded */
} fo_rs_status;

/* Loads the library of that name or path, unless one is bound already. `why` receives the text of
 * the loader, cut to its size, when the status is FO_RS_NOT_LOADED or FO_RS_TOO_OLD. Not for two
 * threads at once. */
fo_rs_status fo_rs_bind(const char *path, char *why, size_t why_size);

/* Version and file of the bound library; empty before. A library that does not tell its version is
 * named after what it can do: "2.30 or later". */
const char *fo_rs_version(void);
const char *fo_rs_path(void);

typedef struct {
    unsigned data_count, parity_count;
    /* k+m rows of k coefficients: the identity, then Cauchy. */
    uint8_t matrix[FO_RS_SHARDS_MAX * FO_RS_SHARDS_MAX];
    uint8_t tables[FO_RS_TABLES_BYTES_MAX]; /* of the parity rows */
} fo_rs_codec;

/* FO_RS_OK, FO_RS_BAD_LAYOUT or FO_RS_NOT_BOUND. */
fo_rs_status fo_rs_init(fo_rs_codec *codec, unsigned data_count, unsigned parity_count);

/* Whether each subset of k shards can be decoded: FO_RS_OK, and `count` is how many there are; or
 * FO_RS_SINGULAR, and `count` has the bits of the shards of one that cannot. */
fo_rs_status fo_rs_prove(const fo_rs_codec *codec, uint32_t *count);

/* Writes the m parity shards of k data shards. */
void fo_rs_encode(fo_rs_codec *codec, size_t length, uint8_t *const data[],
                  uint8_t *const parity[]);

/* Changes the parity for one data shard that changes from `before` to `after`. */
void fo_rs_update(fo_rs_codec *codec, unsigned index, size_t length, const uint8_t *before,
                  const uint8_t *after, uint8_t *const parity[]);

/* Writes the shards whose bits are in `wanted` from those whose bits are in `present`, the two
 * having none in common; `shards` has k+m entries, and the others are not touched. FO_RS_OK,
 * FO_RS_TOO_FEW or FO_RS_SINGULAR. */
fo_rs_status fo_rs_reconstruct(const fo_rs_codec *codec, size_t length, uint8_t *const shards[],
                               uint32_t present, uint32_t wanted);

#endif
