/* Pieces of large bodies on disk, a pool of threads that moves, decodes and hashes them, and a
 * recorder of what was written and synced. Nothing here knows of Python.
 *
 * A piece is a head of 4 KiB and a payload of up to 1 MiB. All integers are little-endian.
 *
 *   offset  bytes  field
 *        0      8  magic "fobjpce1"
 *        8      2  version: 1
 *       10      1  sum kind: 1 is CRC32C
 *       11      5  zero
 *       16     16  data id
 *       32      8  segment
 *       40      4  generation
 *       44      4  part: 0
 *       48      4  piece index in its body
 *       52      4  payload length
 *       56     64  CRC32C of each frame of 64 KiB of the payload; 0 for a frame that is not there
 *      120      4  zero
 *      124      4  CRC32C of bytes 0 to 123
 *      128   3968  zero, not covered by a sum */
#ifndef FO_SEGIO_IMPL_H
#define FO_SEGIO_IMPL_H

#include "chunked_impl.h"
#include "digest_impl.h"
#include "fo_packed.h"

#include <stddef.h>
#include <stdint.h>

enum {
    FO_PIECE_HEAD_BYTES = 4096,
    FO_PIECE_BYTES = 1 << 20,
    FO_FRAME_BYTES = 64 << 10,
    FO_PIECE_FRAMES = FO_PIECE_BYTES / FO_FRAME_BYTES,
    FO_DATA_ID_BYTES = 16,
};

/* Results of a job: 0, one of these, or a negative errno. */
enum {
    FO_STALE = 1,    /* the place holds something else */
    FO_CHECKSUM = 2, /* the place holds this piece, and its bytes are not those written */
};

/* Whose piece it is. A read expects all of it. */
typedef struct {
    uint8_t data_id[FO_DATA_ID_BYTES];
    uint64_t segment;
    uint32_t generation;
    uint32_t part;
    uint32_t index;
    uint32_t length; /* of the payload */
} fo_piece;

/* Fills the whole head of a piece, 4 KiB, from its description and its payload. */
void fo_piece_encode(uint8_t *head, const fo_piece *piece, const uint8_t *payload);

/* 0, FO_STALE where data id, segment, generation or magic differ, else FO_CHECKSUM. */
int fo_piece_check(const uint8_t *head, const fo_piece *expected);

typedef enum {
    FO_WRITE_PIECE,
    FO_READ_PIECE,
    FO_READ,
    FO_FDATASYNC,
    FO_FSYNC,
    FO_DECODE, /* aws-chunked, in place; its status is the decoder's */
    FO_HASH,
} fo_job_kind;

/* The running sums that a body can have; the first ones are those of the digest kernel. */
typedef enum {
    FO_SUM_MD5 = FO_MD5,
    FO_SUM_SHA1 = FO_SHA1,
    FO_SUM_SHA256 = FO_SHA256,
    FO_SUM_CRC32 = FO_DIGEST_COUNT,
    FO_SUM_CRC32C,
    FO_SUM_CRC64NVME,
} fo_sum_kind;

/* One of them, and its state: a fo_running, or the uint64_t of a CRC. */
typedef struct {
    fo_sum_kind kind;
    void *state;
} fo_sum;

enum { FO_SUMS_MAX = 4 }; /* of one body, of different kinds */

/* One job. The caller owns it and all that it points to until fo_pool_take hands it back. */
typedef struct fo_job fo_job;
struct fo_job {
    fo_job *next;
    fo_job_kind kind;
    int fd;
    int status;
    int early_sync;                          /* start the write-out of a written piece at once */
    uint32_t payload_offset, payload_length; /* what FO_READ_PIECE is to deliver */
    uint64_t offset;
    uint8_t *buffer; /* head room and payload, as on disk; FO_READ: `size` bytes */
    uint64_t size;   /* FO_READ: fewer bytes in the file are FO_STALE; FO_DECODE, FO_HASH: bytes */
    fo_piece piece;  /* FO_WRITE_PIECE and FO_READ_PIECE only */
    fo_chunked *chunked; /* FO_DECODE only; one job of a decoder at a time */
    int64_t expected;    /* FO_DECODE only: any other number of bytes is -EILSEQ; negative: any */
    fo_sum sums[FO_SUMS_MAX]; /* FO_HASH only: one at least; the first one names the stream */
    unsigned sum_count;
    int urgent;       /* FO_HASH only: somebody waits for it */
    const char *path; /* for the recorder; may be NULL for reads */
    void *owner;      /* the caller's */
};

/* Does a job other than FO_HASH on the calling thread and returns its status. A read of a piece
 * verifies the head and the frames that it touches, and leaves them in `buffer` at their place in
 * the piece. */
int fo_job_run(const fo_job *job);

/* A small body, behind a head of its own (fo_packed.h) in a block of the log. */
typedef struct {
    uint8_t data_id[FO_DATA_ID_BYTES];
    uint64_t segment;
    uint32_t generation;
    uint64_t length;
} fo_packed;

/* 0, FO_STALE where the head is that of another body or of none, else FO_CHECKSUM. */
int fo_packed_check(const uint8_t head[FO_PACKED_HEAD_BYTES], const uint8_t *body,
                    const fo_packed *expected);

/* Reads and checks a small body on the calling thread: what fo_packed_check says, or -EAGAIN where
 * the page cache does not have all of it, or a negative errno. */
int fo_packed_read_now(int fd, uint64_t offset, uint8_t *body, const fo_packed *expected);

enum { FO_HASH_JOBS_MAX = 32 }; /* all lanes of any code */

/* Advances the sums of at most FO_HASH_JOBS_MAX jobs, linked by `next`, of different streams: each
 * kind in lanes as far as this machine has any. */
void fo_hash_jobs(const fo_job *first);

/* How many jobs fill the lanes of this machine. */
unsigned fo_hash_jobs_best(void);

typedef struct fo_pool fo_pool;

/* Starts `threads` threads that take at most `capacity` jobs not yet handed back, and one more that
 * hashes. Jobs of one stream are hashed in the order in which they came. NULL on failure, with a
 * negative errno in `error`.
 *
 * Many streams together cost little more than one, so the hashing thread begins when it has a job
 * of each stream there is, or of as many as fill the lanes, or when somebody waits: for a job that
 * is urgent, or for memory that jobs hold. Then it takes one job of each stream. */
fo_pool *fo_pool_new(unsigned threads, unsigned capacity, int *error);

/* Readable when finished jobs may be waiting; written only when the first one arrives. */
int fo_pool_eventfd(const fo_pool *pool);

/* 0; -EAGAIN: `capacity` jobs are under way; -ESHUTDOWN: closed. */
int fo_pool_submit(fo_pool *pool, fo_job *job);

/* There is one stream more to be hashed (+1), or less (-1). */
void fo_pool_streams(fo_pool *pool, int change);

/* What is queued of the stream that this state names first is urgent from now on. */
void fo_pool_hurry(fo_pool *pool, const void *state);

/* Somebody waits for memory (+1), so that all is urgent, or no longer does (-1). */
void fo_pool_press(fo_pool *pool, int change);

/* Hands back all finished jobs, linked by `next` in the order in which they ended. */
fo_job *fo_pool_take(fo_pool *pool);

/* Finishes all jobs and ends the threads; the jobs can still be taken. May be repeated. */
void fo_pool_close(fo_pool *pool);

/* Frees a closed pool whose jobs have all been taken. */
void fo_pool_free(fo_pool *pool);

/* The recorder: for power-cut tests, off as a rule. An entry is little-endian: u32 length of the
 * whole entry, u8 kind, u64 begin, u64 end, u64 offset, u16 path length, u64 data length, path,
 * data. Begin and end come from one counter that all processes share. */
enum {
    FO_RECORD_WRITE = 1,
    FO_RECORD_SYNC = 2,
    FO_RECORD_TRUNCATE = 3,
    FO_RECORD_CREATE = 4,
    FO_RECORD_RENAME = 5,
    FO_RECORD_UNLINK = 6,
    FO_RECORD_SYNC_DIRECTORY = 7,
    FO_RECORD_ALLOCATE = 8,
    FO_RECORD_SYNC_LOST = 9, /* a sync that failed and lost all that it was to make durable */
    FO_RECORD_HEAD_BYTES = 39,
};

/* Switches on, from now to this file; again after a fork. Not while other threads record.
 * Returns 0 or a negative errno. */
int fo_record_open(const char *record_path, const char *counter_path);
void fo_record_close(void);
int fo_record_is_on(void);

/* The number of this moment, 1 and up, to be taken before the system call; 0 when off. */
uint64_t fo_record_begin(void);

/* The next entry of this thread is left out: its call only said that it did something. */
void fo_record_skip(void);

/* Takes the end number and appends one entry. Does nothing when `begin` is 0. Returns 0 or a
 * negative errno: then the record is not complete, and the caller must fail. */
int fo_record_end(uint64_t begin, int kind, const char *path, uint64_t offset, const void *bytes,
                  uint64_t length);

#endif
