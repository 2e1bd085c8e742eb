/* The recorder: see segio_impl.h. One record file per process, one counter for all of them. */
#include "segio_impl.h"

#include "fo_common.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static int record_fd = -1;
static uint64_t *counter;
static __thread int skips_next;

static int map_counter(const char *path)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    void *page = MAP_FAILED;
    /* Of several processes that make it, each only ever extends it to the same size. */
    if (ftruncate(fd, sizeof *counter) == 0)
        page = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    const int error = page == MAP_FAILED ? -errno : 0;
    close(fd);
    if (!error)
        counter = page;
    return error;
}

int fo_record_open(const char *record_path, const char *counter_path)
{
    fo_record_close();
    const int error = map_counter(counter_path);
    if (error)
        return error;
    const int fd = open(record_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        const int reason = -errno;
        fo_record_close();
        return reason;
    }
    record_fd = fd;
    return 0;
}

void fo_record_close(void)
{
    if (counter)
        munmap(counter, sizeof *counter);
    if (record_fd >= 0)
        close(record_fd);
    counter = NULL;
    record_fd = -1;
}

int fo_record_is_on(void)
{
    return record_fd >= 0;
}

uint64_t fo_record_begin(void)
{
    if (__builtin_expect(record_fd < 0, 1))
        return 0;
    return __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

void fo_record_skip(void)
{
    skips_next = record_fd >= 0;
}

static uint8_t *put(uint8_t *at, uint64_t value, int bytes)
{
    for (int byte = 0; byte < bytes; byte++)
        *at++ = (uint8_t)(value >> (8 * byte));
    return at;
}

int fo_record_end(uint64_t begin, int kind, const char *path, uint64_t offset, const void *bytes,
                  uint64_t length)
{
    if (__builtin_expect(begin == 0, 1))
        return 0;
    if (skips_next) {
        skips_next = 0;
        return 0;
    }
    const size_t path_length = path ? strlen(path) : 0;
    const uint64_t total = FO_RECORD_HEAD_BYTES + path_length + length;
    if (path_length > UINT16_MAX || total > UINT32_MAX)
        return -EMSGSIZE;
    uint8_t head[FO_RECORD_HEAD_BYTES], *at = head;
    at = put(at, total, 4);
    at = put(at, (uint64_t)kind, 1);
    at = put(at, begin, 8);
    at = put(at, __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST), 8);
    at = put(at, offset, 8);
    at = put(at, path_length, 2);
    put(at, length, 8);
    /* One call per entry: threads append to the same file, and a kill leaves whole entries. */
    const struct iovec parts[] = {
        {head, sizeof head}, {(void *)path, path_length}, {(void *)bytes, length}};
    const ssize_t count = writev(record_fd, parts, 3);
    if (count < 0)
        return -errno;
    return (uint64_t)count == total ? 0 : -EIO;
}
