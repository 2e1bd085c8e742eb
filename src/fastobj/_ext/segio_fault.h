/* Faults on purpose: rules by which calls to the system fail, stall, tear or lie, for tests. Off as
 * a rule: then each call costs one branch. */
#ifndef FO_SEGIO_FAULT_H
#define FO_SEGIO_FAULT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

/* Kinds of calls; a rule names any number of them. */
enum {
    FO_CALL_CREATE = 1 << 0,
    FO_CALL_OPEN = 1 << 1,
    FO_CALL_READ = 1 << 2,
    FO_CALL_WRITE = 1 << 3,
    FO_CALL_SYNC = 1 << 4,
    FO_CALL_TRUNCATE = 1 << 5,
    FO_CALL_ALLOCATE = 1 << 6,
    FO_CALL_RENAME = 1 << 7,
    FO_CALL_UNLINK = 1 << 8,
    FO_CALL_SYNC_DIRECTORY = 1 << 9,
};

typedef enum {
    FO_FAULT_NONE,
    FO_FAULT_FAIL,  /* nothing is done, `error` is told */
    FO_FAULT_SHORT, /* only the first `amount` bytes are done, and that is told */
    FO_FAULT_LIE,   /* nothing is done, success is told */
    FO_FAULT_FLIP,  /* bit `amount` of what was read is another */
    /* Of rules only: who makes the call meets them as the ones above, or as nothing. */
    FO_FAULT_TEAR,  /* a short write, behind which the rest of it fails */
    FO_FAULT_STALL, /* the call begins `amount` nanoseconds later */
    FO_FAULT_COUNT, /* only counted */
} fo_fault_kind;

enum { FO_FAULT_RULES_MAX = 32, FO_FAULT_PATTERN_BYTES = 256 };

typedef struct {
    unsigned calls;                       /* FO_CALL_... */
    char pattern[FO_FAULT_PATTERN_BYTES]; /* of the whole path, as fnmatch(3) has it; "": any */
    uint64_t first, times; /* fires at this matching call, from 1 on, and so often; 0: for ever */
    fo_fault_kind kind;
    int error;       /* a positive errno: FAIL and TEAR */
    int drops;       /* a failed sync: what it was to sync is recorded as lost */
    uint64_t amount; /* bytes of SHORT and TEAR, 0: half; the bit of FLIP, 0: any */
} fo_fault_rule;

/* What a call meets. */
typedef struct {
    fo_fault_kind kind;
    int error;
    uint64_t amount; /* of SHORT at least 1 and less than the call's size; of FLIP below 8 x it */
} fo_fault;

/* Written only by the two below, while no other thread makes calls. */
extern int fo_faults_on;

/* Adds a rule and arms all; returns its number, or a negative errno. */
int fo_faults_add(const fo_fault_rule *rule);
void fo_faults_clear(void);

/* From now on matching calls are counted in this file, together with other processes. Returns 0 or
 * a negative errno. */
int fo_faults_share(const char *path);

/* How many calls have matched a rule. */
uint64_t fo_faults_counted(unsigned rule);

/* What the next call of that kind on `path` (NULL: what `fd` has open) meets; `size` is in bytes,
 * of reads and writes. Sleeps where a rule says so. */
fo_fault fo_fault_meet(unsigned call, const char *path, int fd, uint64_t size);

/* As the calls without the prefix. `path` may be NULL. */
ssize_t fo_faulty_pwrite(const char *path, int fd, const void *from, size_t size, off_t offset);
ssize_t fo_faulty_pread(const char *path, int fd, void *to, size_t size, off_t offset);
int fo_faulty_sync(const char *path, int fd, int only_data);

static inline ssize_t fo_pwrite(const char *path, int fd, const void *from, size_t size,
                                off_t offset)
{
    if (__builtin_expect(fo_faults_on, 0))
        return fo_faulty_pwrite(path, fd, from, size, offset);
    return pwrite(fd, from, size, offset);
}

static inline ssize_t fo_pread(const char *path, int fd, void *to, size_t size, off_t offset)
{
    if (__builtin_expect(fo_faults_on, 0))
        return fo_faulty_pread(path, fd, to, size, offset);
    return pread(fd, to, size, offset);
}

static inline int fo_sync(const char *path, int fd, int only_data)
{
    if (__builtin_expect(fo_faults_on, 0))
        return fo_faulty_sync(path, fd, only_data);
    return only_data ? fdatasync(fd) : fsync(fd);
}

/* Another bit `bit` in `size` bytes. */
static inline void fo_flip(void *bytes, uint64_t size, uint64_t bit)
{
    if (size)
        ((uint8_t *)bytes)[bit / 8 % size] ^= (uint8_t)(1u << bit % 8);
}

#endif
