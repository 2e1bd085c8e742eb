/* Pieces: their heads, their sums, and the system calls that move them. See segio_impl.h. */
#define _GNU_SOURCE
#include "segio_impl.h"

#include "crc_impl.h"
#include "fo_common.h"
#include "segio_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    AT_VERSION = 8,
    AT_SUM_KIND = 10,
    AT_DATA_ID = 16,
    AT_SEGMENT = 32,
    AT_GENERATION = 40,
    AT_PART = 44,
    AT_INDEX = 48,
    AT_LENGTH = 52,
    AT_FRAMES = 56,
    AT_HEAD_SUM = 124,
    VERSION = 1,
    SUM_CRC32C = 1,
};

static const char MAGIC[8] = {'f', 'o', 'b', 'j', 'p', 'c', 'e', '1'};

static uint32_t smaller(uint32_t left, uint32_t right)
{
    return left < right ? left : right;
}

static uint32_t frame_sum(const uint8_t *payload, uint32_t frame, uint32_t payload_length)
{
    const uint32_t begin = frame * FO_FRAME_BYTES;
    return fo_crc32c(0, payload + begin, smaller(FO_FRAME_BYTES, payload_length - begin));
}

void fo_piece_encode(uint8_t *head, const fo_piece *piece, const uint8_t *payload)
{
    memset(head, 0, FO_PIECE_HEAD_BYTES);
    memcpy(head, MAGIC, sizeof MAGIC);
    head[AT_VERSION] = VERSION;
    head[AT_SUM_KIND] = SUM_CRC32C;
    memcpy(head + AT_DATA_ID, piece->data_id, FO_DATA_ID_BYTES);
    fo_store_le64(head + AT_SEGMENT, piece->segment);
    fo_store_le32(head + AT_GENERATION, piece->generation);
    fo_store_le32(head + AT_PART, piece->part);
    fo_store_le32(head + AT_INDEX, piece->index);
    fo_store_le32(head + AT_LENGTH, piece->length);
    for (uint32_t frame = 0; frame * FO_FRAME_BYTES < piece->length; frame++)
        fo_store_le32(head + AT_FRAMES + 4 * frame, frame_sum(payload, frame, piece->length));
    fo_store_le32(head + AT_HEAD_SUM, fo_crc32c(0, head, AT_HEAD_SUM));
}

int fo_piece_check(const uint8_t *head, const fo_piece *expected)
{
    if (memcmp(head, MAGIC, sizeof MAGIC) != 0 ||
        memcmp(head + AT_DATA_ID, expected->data_id, FO_DATA_ID_BYTES) != 0 ||
        fo_load_le64(head + AT_SEGMENT) != expected->segment ||
        fo_load_le32(head + AT_GENERATION) != expected->generation)
        return FO_STALE;
    if (fo_load_le32(head + AT_HEAD_SUM) != fo_crc32c(0, head, AT_HEAD_SUM))
        return FO_CHECKSUM;
    /* A whole head of this body at a wrong place: the drive misdirected a write. */
    if (head[AT_VERSION] != VERSION || head[AT_VERSION + 1] != 0 ||
        head[AT_SUM_KIND] != SUM_CRC32C || fo_load_le32(head + AT_PART) != expected->part ||
        fo_load_le32(head + AT_INDEX) != expected->index ||
        fo_load_le32(head + AT_LENGTH) != expected->length)
        return FO_CHECKSUM;
    return 0;
}

/* Bytes written, all of them unless `error` is set. */
static uint64_t write_whole(const fo_job *job, uint64_t size, int *error)
{
    uint64_t done = 0;
    *error = 0;
    while (done < size) {
        const ssize_t count = fo_pwrite(job->path, job->fd, job->buffer + done, size - done,
                                        (off_t)(job->offset + done));
        if (count > 0)
            done += (uint64_t)count;
        else if (count == 0 || errno != EINTR) {
            *error = count == 0 ? -EIO : -errno;
            break;
        }
    }
    return done;
}

/* Bytes read, fewer than `size` only at the end of the file; or a negative errno. */
static int64_t read_whole(int fd, uint8_t *to, uint64_t size, uint64_t offset)
{
    uint64_t done = 0;
    while (done < size) {
        const ssize_t count = fo_pread(NULL, fd, to + done, size - done, (off_t)(offset + done));
        if (count == 0)
            break;
        if (count > 0)
            done += (uint64_t)count;
        else if (errno != EINTR)
            return -errno;
    }
    return (int64_t)done;
}

static int write_piece(const fo_job *job)
{
    const uint64_t size = FO_PIECE_HEAD_BYTES + (uint64_t)job->piece.length;
    int error;
    fo_piece_encode(job->buffer, &job->piece, job->buffer + FO_PIECE_HEAD_BYTES);
    const uint64_t begin = fo_record_begin();
    const uint64_t done = write_whole(job, size, &error);
    const int recorded =
        fo_record_end(begin, FO_RECORD_WRITE, job->path, job->offset, job->buffer, done);
    if (error || recorded)
        return error ? error : recorded;
    /* Only a hint: what it cannot do, the sync that follows does, and reports. */
    if (job->early_sync)
        (void)sync_file_range(job->fd, (off_t)job->offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
    return 0;
}

static int check_frames(const uint8_t *piece, uint32_t first, uint32_t end, uint32_t length)
{
    const uint8_t *payload = piece + FO_PIECE_HEAD_BYTES;
    for (uint32_t frame = first; frame < end; frame++) {
        const uint32_t sum = fo_load_le32(piece + AT_FRAMES + 4 * frame);
        if (sum != frame_sum(payload, frame, length))
            return FO_CHECKSUM;
    }
    return 0;
}

/* The caller has checked that the range is not empty and lies in the payload. */
static int read_piece(const fo_job *job)
{
    const uint32_t length = job->piece.length;
    const uint32_t first = job->payload_offset / FO_FRAME_BYTES;
    const uint32_t end =
        (job->payload_offset + job->payload_length + FO_FRAME_BYTES - 1) / FO_FRAME_BYTES;
    const uint64_t from = FO_PIECE_HEAD_BYTES + (uint64_t)first * FO_FRAME_BYTES;
    const uint64_t to = FO_PIECE_HEAD_BYTES + (uint64_t)smaller(end * FO_FRAME_BYTES, length);
    /* A read from the first frame on takes the head along. */
    const uint64_t head_size = first == 0 ? to : FO_PIECE_HEAD_BYTES;
    int64_t count = read_whole(job->fd, job->buffer, head_size, job->offset);
    if (count < 0)
        return (int)count;
    const int status =
        count < FO_PIECE_HEAD_BYTES ? FO_STALE : fo_piece_check(job->buffer, &job->piece);
    if (status)
        return status;
    if (first != 0) {
        count = read_whole(job->fd, job->buffer + from, to - from, job->offset + from);
        if (count < 0)
            return (int)count;
        count += (int64_t)from;
    }
    return (uint64_t)count < to ? FO_CHECKSUM : check_frames(job->buffer, first, end, length);
}

static int read_plain(const fo_job *job)
{
    const int64_t count = read_whole(job->fd, job->buffer, job->size, job->offset);
    if (count < 0)
        return (int)count;
    return (uint64_t)count < job->size ? FO_STALE : 0;
}

int fo_packed_check(const uint8_t head[FO_PACKED_HEAD_BYTES], const uint8_t *body,
                    const fo_packed *expected)
{
    if (fo_load_le32(head) != FO_PACKED_MAGIC ||
        head[FO_PACKED_AT_SUM_KIND] != FO_PACKED_SUM_CRC32C ||
        memcmp(head + FO_PACKED_AT_DATA_ID, expected->data_id, FO_DATA_ID_BYTES) != 0 ||
        fo_load_le64(head + FO_PACKED_AT_SEGMENT) != expected->segment ||
        fo_load_le32(head + FO_PACKED_AT_GENERATION) != expected->generation ||
        fo_load_le64(head + FO_PACKED_AT_LENGTH) != expected->length)
        return FO_STALE;
    const uint32_t sum = fo_load_le32(head + FO_PACKED_AT_SUM);
    return sum == fo_crc32c(0, body, expected->length) ? 0 : FO_CHECKSUM;
}

/* As preadv2. What it meets in tests is cut short, or another bit of the last part. */
static ssize_t read_parts_now(int fd, const struct iovec parts[2], off_t offset)
{
    if (__builtin_expect(!fo_faults_on, 1))
        return preadv2(fd, parts, 2, offset, RWF_NOWAIT);
    const fo_fault met = fo_fault_meet(FO_CALL_READ, NULL, fd, parts[1].iov_len);
    if (met.kind == FO_FAULT_FAIL) {
        errno = met.error;
        return -1;
    }
    const ssize_t count = preadv2(fd, parts, 2, offset, RWF_NOWAIT);
    if (met.kind == FO_FAULT_FLIP && count > 0)
        fo_flip(parts[1].iov_base, parts[1].iov_len, met.amount);
    return met.kind == FO_FAULT_SHORT && count > 0 ? 1 : count;
}

int fo_packed_read_now(int fd, uint64_t offset, uint8_t *body, const fo_packed *expected)
{
    uint8_t head[FO_PACKED_HEAD_BYTES];
    const struct iovec parts[] = {{head, sizeof head}, {body, expected->length}};
    ssize_t count;
    do
        count = read_parts_now(fd, parts, (off_t)offset);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return -errno;
    if ((uint64_t)count != sizeof head + expected->length)
        return -EAGAIN; /* some of it is not cached, or the file ends there */
    return fo_packed_check(head, body, expected);
}

/* Never repeated, not even after EINTR: a second call may report success for lost bytes. */
static int sync_file(const fo_job *job)
{
    const uint64_t begin = fo_record_begin();
    if (fo_sync(job->path, job->fd, job->kind == FO_FDATASYNC) != 0)
        return -errno;
    return fo_record_end(begin, FO_RECORD_SYNC, job->path, 0, NULL, 0);
}

static int decode(const fo_job *job)
{
    size_t consumed, produced;
    const fo_chunked_status status =
        fo_chunked_feed(job->chunked, job->buffer, (size_t)job->size, &consumed, &produced);
    if (status != FO_CHUNKED_OK || job->expected < 0 || produced == (uint64_t)job->expected)
        return (int)status;
    return -EILSEQ;
}

int fo_job_run(const fo_job *job)
{
    switch (job->kind) {
    case FO_WRITE_PIECE:
        return write_piece(job);
    case FO_READ_PIECE:
        return read_piece(job);
    case FO_READ:
        return read_plain(job);
    case FO_FDATASYNC:
    case FO_FSYNC:
        return sync_file(job);
    case FO_DECODE:
        return decode(job);
    case FO_HASH:
        break; /* not one by one */
    }
    return -EINVAL;
}
