/* Faults on purpose: see segio_fault.h. */
#define _GNU_SOURCE
#include "segio_fault.h"

#include "segio_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

int fo_faults_on;

static fo_fault_rule rules[FO_FAULT_RULES_MAX];
static unsigned rule_count;
static uint64_t own_counts[FO_FAULT_RULES_MAX], *shared_counts;
/* The error that the rest of a torn write of this thread is to meet. */
static __thread int torn_error;

static uint64_t *counts(void)
{
    return shared_counts ? shared_counts : own_counts;
}

int fo_faults_add(const fo_fault_rule *rule)
{
    if (rule_count == FO_FAULT_RULES_MAX)
        return -E2BIG;
    rules[rule_count] = *rule;
    fo_faults_on = 1;
    return (int)rule_count++;
}

void fo_faults_clear(void)
{
    if (shared_counts)
        munmap(shared_counts, sizeof own_counts);
    shared_counts = NULL;
    memset(own_counts, 0, sizeof own_counts);
    torn_error = 0;
    rule_count = 0;
    fo_faults_on = 0;
}

int fo_faults_share(const char *path)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    void *page = MAP_FAILED;
    if (ftruncate(fd, sizeof own_counts) == 0)
        page = mmap(NULL, sizeof own_counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    const int error = page == MAP_FAILED ? -errno : 0;
    close(fd);
    if (!error)
        shared_counts = page;
    return error;
}

uint64_t fo_faults_counted(unsigned rule)
{
    return rule < rule_count ? __atomic_load_n(&counts()[rule], __ATOMIC_SEQ_CST) : 0;
}

/* The path that a descriptor has open, without what the kernel adds to one that is removed. */
static const char *path_of(int fd, char found[PATH_MAX])
{
    static const char removed[] = " (deleted)";
    const size_t tail = sizeof removed - 1;
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t got = readlink(link, found, PATH_MAX - 1);
    size_t length = got < 0 ? 0 : (size_t)got;
    if (length > tail && memcmp(found + length - tail, removed, tail) == 0)
        length -= tail;
    found[length] = 0;
    return found;
}

static int matches(const fo_fault_rule *rule, unsigned call, const char *path)
{
    return (rule->calls & call) && (!rule->pattern[0] || fnmatch(rule->pattern, path, 0) == 0);
}

static void stall(uint64_t nanoseconds)
{
    struct timespec left = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* Less than all of it, but something: what a call tells that did not come far. */
static uint64_t part_of(uint64_t size, uint64_t wanted)
{
    const uint64_t part = wanted ? wanted : size / 2;
    return part < size ? part : size - 1;
}

/* What a rule that fires at its `number`th matching call means for it. */
static fo_fault fire(const fo_fault_rule *rule, uint64_t number, uint64_t size)
{
    fo_fault met = {rule->kind, rule->error, rule->amount};
    switch (rule->kind) {
    case FO_FAULT_STALL:
        stall(rule->amount);
        met.kind = FO_FAULT_NONE;
        break;
    case FO_FAULT_COUNT:
        met.kind = FO_FAULT_NONE;
        break;
    case FO_FAULT_SHORT:
    case FO_FAULT_TEAR:
        met.amount = size ? part_of(size, rule->amount) : 0;
        met.kind = met.amount ? FO_FAULT_SHORT : FO_FAULT_NONE;
        if (rule->kind == FO_FAULT_TEAR && met.amount)
            torn_error = rule->error;
        else if (rule->kind == FO_FAULT_TEAR)
            met.kind = FO_FAULT_FAIL; /* too short to be torn */
        break;
    case FO_FAULT_FLIP:
        if (size)
            met.amount = (rule->amount ? rule->amount : number * 2654435761u) % (8 * size);
        break;
    default:
        break;
    }
    return met;
}

/* For the recorder: what a call did that lies, or of a sync that lost what it was to sync. */
static void note(const fo_fault_rule *rule, unsigned call, const char *path)
{
    if (rule->kind == FO_FAULT_LIE)
        fo_record_skip();
    else if (rule->kind == FO_FAULT_FAIL && rule->drops && call == FO_CALL_SYNC)
        (void)fo_record_end(fo_record_begin(), FO_RECORD_SYNC_LOST, path, 0, NULL, 0);
}

fo_fault fo_fault_meet(unsigned call, const char *path, int fd, uint64_t size)
{
    fo_fault met = {FO_FAULT_NONE, 0, 0};
    char found[PATH_MAX];
    if (call == FO_CALL_WRITE && torn_error) {
        met.kind = FO_FAULT_FAIL;
        met.error = torn_error;
        torn_error = 0;
        return met;
    }
    if (!path)
        path = path_of(fd, found);
    for (unsigned index = 0; index < rule_count; index++) {
        const fo_fault_rule *rule = &rules[index];
        if (!matches(rule, call, path))
            continue;
        const uint64_t number = __atomic_add_fetch(&counts()[index], 1, __ATOMIC_SEQ_CST);
        if (number < rule->first || (rule->times && number - rule->first >= rule->times) ||
            met.kind != FO_FAULT_NONE)
            continue;
        met = fire(rule, number, size);
        note(rule, call, path);
    }
    return met;
}

ssize_t fo_faulty_pwrite(const char *path, int fd, const void *from, size_t size, off_t offset)
{
    const fo_fault met = fo_fault_meet(FO_CALL_WRITE, path, fd, size);
    if (met.kind == FO_FAULT_FAIL) {
        errno = met.error;
        return -1;
    }
    if (met.kind == FO_FAULT_LIE)
        return (ssize_t)size;
    return pwrite(fd, from, met.kind == FO_FAULT_SHORT ? met.amount : size, offset);
}

ssize_t fo_faulty_pread(const char *path, int fd, void *to, size_t size, off_t offset)
{
    const fo_fault met = fo_fault_meet(FO_CALL_READ, path, fd, size);
    if (met.kind == FO_FAULT_FAIL) {
        errno = met.error;
        return -1;
    }
    const ssize_t count = pread(fd, to, met.kind == FO_FAULT_SHORT ? met.amount : size, offset);
    if (met.kind == FO_FAULT_FLIP && count > 0)
        fo_flip(to, (uint64_t)count, met.amount);
    return count;
}

int fo_faulty_sync(const char *path, int fd, int only_data)
{
    const fo_fault met = fo_fault_meet(FO_CALL_SYNC, path, fd, 0);
    if (met.kind == FO_FAULT_FAIL) {
        errno = met.error;
        return -1;
    }
    if (met.kind == FO_FAULT_LIE)
        return 0;
    return only_data ? fdatasync(fd) : fsync(fd);
}
