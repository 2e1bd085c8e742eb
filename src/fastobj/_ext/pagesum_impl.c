/* Sums of database pages: see pagesum_impl.h. */
#include "pagesum_impl.h"

#include "crc_impl.h"
#include "fo_common.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* SQLite's own, by the names of its documentation; all of it is fixed for good. */
enum {
    SQLITE_OK = 0,
    SQLITE_IOERR_DATA = 10 | 32 << 8,
    SQLITE_OK_LOAD_PERMANENTLY = 256,
    SQLITE_OPEN_MAIN_DB = 0x100,
    SQLITE_IOCAP_SUBPAGE_READ = 0x8000,
    HEADER_BYTES = 100,
    AT_RESERVED = 20, /* in the header of a database */
    AT_VFS_FIND = 141,
    AT_VFS_REGISTER = 142, /* in the table of functions for extensions */
};

typedef struct sqlite3_file sqlite3_file;
typedef struct sqlite3_vfs sqlite3_vfs;
typedef int64_t sqlite3_int64;
typedef void (*any_function)(void);

typedef struct {
    int iVersion;
    int (*xClose)(sqlite3_file *);
    int (*xRead)(sqlite3_file *, void *, int, sqlite3_int64);
    int (*xWrite)(sqlite3_file *, const void *, int, sqlite3_int64);
    int (*xTruncate)(sqlite3_file *, sqlite3_int64);
    int (*xSync)(sqlite3_file *, int);
    int (*xFileSize)(sqlite3_file *, sqlite3_int64 *);
    int (*xLock)(sqlite3_file *, int);
    int (*xUnlock)(sqlite3_file *, int);
    int (*xCheckReservedLock)(sqlite3_file *, int *);
    int (*xFileControl)(sqlite3_file *, int, void *);
    int (*xSectorSize)(sqlite3_file *);
    int (*xDeviceCharacteristics)(sqlite3_file *);
    int (*xShmMap)(sqlite3_file *, int, int, int, void volatile **);
    int (*xShmLock)(sqlite3_file *, int, int, int);
    void (*xShmBarrier)(sqlite3_file *);
    int (*xShmUnmap)(sqlite3_file *, int);
    /* Version 3 maps pages into memory, where no sum is compared: not offered. */
} io_methods;

struct sqlite3_file {
    const io_methods *pMethods;
};

struct sqlite3_vfs {
    int iVersion, szOsFile, mxPathname;
    sqlite3_vfs *pNext;
    const char *zName;
    void *pAppData;
    int (*xOpen)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
    int (*xDelete)(sqlite3_vfs *, const char *, int);
    int (*xAccess)(sqlite3_vfs *, const char *, int, int *);
    int (*xFullPathname)(sqlite3_vfs *, const char *, int, char *);
    void *(*xDlOpen)(sqlite3_vfs *, const char *);
    void (*xDlError)(sqlite3_vfs *, int, char *);
    any_function (*xDlSym)(sqlite3_vfs *, void *, const char *);
    void (*xDlClose)(sqlite3_vfs *, void *);
    int (*xRandomness)(sqlite3_vfs *, int, char *);
    int (*xSleep)(sqlite3_vfs *, int);
    int (*xCurrentTime)(sqlite3_vfs *, double *);
    int (*xGetLastError)(sqlite3_vfs *, int, char *);
    int (*xCurrentTimeInt64)(sqlite3_vfs *, sqlite3_int64 *);
    int (*xSetSystemCall)(sqlite3_vfs *, const char *, any_function);
    any_function (*xGetSystemCall)(sqlite3_vfs *, const char *);
    const char *(*xNextSystemCall)(sqlite3_vfs *, const char *);
};

static sqlite3_vfs *(*vfs_find)(const char *);
static int (*vfs_register)(sqlite3_vfs *, int);

/* A main database: this, and behind it the file of the VFS below. */
typedef struct {
    sqlite3_file file;
    int has_sums;
} summed;

static sqlite3_file *below(sqlite3_file *file)
{
    return (sqlite3_file *)((summed *)file + 1);
}

static uint32_t sum_of(const uint8_t *page, uint32_t number)
{
    uint8_t name[4];
    fo_store_le32(name, number);
    return fo_crc32c(fo_crc32c(0, name, sizeof name), page, FO_PAGE_BYTES - FO_PAGE_RESERVED_BYTES);
}

void fo_page_stamp(uint8_t page[FO_PAGE_BYTES], uint32_t number)
{
    uint8_t *reserved = page + FO_PAGE_BYTES - FO_PAGE_RESERVED_BYTES;
    fo_store_le32(reserved, sum_of(page, number));
    fo_store_le32(reserved + 4, 0);
}

int fo_page_verifies(const uint8_t page[FO_PAGE_BYTES], uint32_t number)
{
    const uint8_t *reserved = page + FO_PAGE_BYTES - FO_PAGE_RESERVED_BYTES;
    if (fo_load_le32(reserved) == sum_of(page, number) && fo_load_le32(reserved + 4) == 0)
        return 1;
    return page[0] == 0 && memcmp(page, page + 1, FO_PAGE_BYTES - 1) == 0;
}

/* What the beginning of a database says of the pages behind it. */
static void look(summed *file, const uint8_t *header)
{
    static const char magic[16] = "SQLite format 3";
    file->has_sums = memcmp(header, magic, sizeof magic) == 0 && header[16] == 0x10 &&
                     header[17] == 0 && header[AT_RESERVED] == FO_PAGE_RESERVED_BYTES;
}

static int is_page(const summed *file, int size, sqlite3_int64 offset)
{
    return file->has_sums && size == FO_PAGE_BYTES && offset % FO_PAGE_BYTES == 0;
}

static uint32_t number_at(sqlite3_int64 offset)
{
    return (uint32_t)(offset / FO_PAGE_BYTES) + 1;
}

static int file_read(sqlite3_file *file, void *to, int size, sqlite3_int64 offset)
{
    summed *own = (summed *)file;
    const int status = below(file)->pMethods->xRead(below(file), to, size, offset);
    if (status != SQLITE_OK)
        return status;
    if (offset == 0 && size >= HEADER_BYTES)
        look(own, to);
    if (is_page(own, size, offset) && !fo_page_verifies(to, number_at(offset)))
        return SQLITE_IOERR_DATA;
    return SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *from, int size, sqlite3_int64 offset)
{
    summed *own = (summed *)file;
    uint8_t page[FO_PAGE_BYTES];
    if (offset == 0 && size >= HEADER_BYTES)
        look(own, from);
    if (is_page(own, size, offset)) {
        memcpy(page, from, sizeof page);
        fo_page_stamp(page, number_at(offset));
        from = page;
    }
    return below(file)->pMethods->xWrite(below(file), from, size, offset);
}

static int file_close(sqlite3_file *file)
{
    return below(file)->pMethods->xClose(below(file));
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return below(file)->pMethods->xTruncate(below(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    return below(file)->pMethods->xSync(below(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return below(file)->pMethods->xFileSize(below(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xLock(below(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return below(file)->pMethods->xUnlock(below(file), level);
}

static int file_check_lock(sqlite3_file *file, int *is_held)
{
    return below(file)->pMethods->xCheckReservedLock(below(file), is_held);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return below(file)->pMethods->xFileControl(below(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return below(file)->pMethods->xSectorSize(below(file));
}

/* A part of a page has no sum. */
static int file_characteristics(sqlite3_file *file)
{
    return below(file)->pMethods->xDeviceCharacteristics(below(file)) & ~SQLITE_IOCAP_SUBPAGE_READ;
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **mapped)
{
    return below(file)->pMethods->xShmMap(below(file), page, size, extend, mapped);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return below(file)->pMethods->xShmLock(below(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    below(file)->pMethods->xShmBarrier(below(file));
}

static int file_shm_unmap(sqlite3_file *file, int deletes)
{
    return below(file)->pMethods->xShmUnmap(below(file), deletes);
}

static const io_methods METHODS = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* All other files (WAL, journals) are those of the VFS below, without a step between. */
static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *granted)
{
    sqlite3_vfs *base = vfs->pAppData;
    if (!(flags & SQLITE_OPEN_MAIN_DB))
        return base->xOpen(base, name, file, flags, granted);
    file->pMethods = NULL;
    ((summed *)file)->has_sums = 0;
    const int status = base->xOpen(base, name, below(file), flags, granted);
    if (status == SQLITE_OK)
        file->pMethods = &METHODS;
    return status;
}

/* The rest needs the VFS that it was written for. */
static int vfs_delete(sqlite3_vfs *vfs, const char *name, int syncs)
{
    sqlite3_vfs *base = vfs->pAppData;
    return base->xDelete(base, name, syncs);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *found)
{
    sqlite3_vfs *base = vfs->pAppData;
    return base->xAccess(base, name, flags, found);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *found)
{
    sqlite3_vfs *base = vfs->pAppData;
    return base->xFullPathname(base, name, size, found);
}

static int vfs_randomness(sqlite3_vfs *vfs, int size, char *found)
{
    sqlite3_vfs *base = vfs->pAppData;
    return base->xRandomness(base, size, found);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    sqlite3_vfs *base = vfs->pAppData;
    return base->xSleep(base, microseconds);
}

static int vfs_time(sqlite3_vfs *vfs, double *now)
{
    sqlite3_vfs *base = vfs->pAppData;
    return base->xCurrentTime(base, now);
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *text)
{
    sqlite3_vfs *base = vfs->pAppData;
    return base->xGetLastError(base, size, text);
}

typedef struct {
    sqlite3_vfs vfs;
    char name[FO_PAGE_NAME_BYTES];
} named_vfs;

int fo_pagesum_register(const char *name, const char *base_name)
{
    if (!vfs_find)
        return -ENOSYS;
    if (strlen(name) >= FO_PAGE_NAME_BYTES)
        return -ENAMETOOLONG;
    sqlite3_vfs *base = vfs_find(base_name);
    if (!base)
        return -ENOENT;
    named_vfs *made = calloc(1, sizeof *made); /* for as long as the process lives */
    if (!made)
        return -ENOMEM;
    memcpy(made->name, name, strlen(name));
    made->vfs = (sqlite3_vfs){
        .iVersion = 1,
        .szOsFile = (int)sizeof(summed) + base->szOsFile,
        .mxPathname = base->mxPathname,
        .zName = made->name,
        .pAppData = base,
        .xOpen = vfs_open,
        .xDelete = vfs_delete,
        .xAccess = vfs_access,
        .xFullPathname = vfs_full_path,
        .xRandomness = vfs_randomness,
        .xSleep = vfs_sleep,
        .xCurrentTime = vfs_time,
        .xGetLastError = vfs_last_error,
    };
    if (vfs_register(&made->vfs, 0) == SQLITE_OK)
        return 0;
    free(made);
    return -EIO;
}

/* What SQLite calls when it loads this file as an extension: the functions are at hand then. */
__attribute__((visibility("default"))) int fo_pagesum_init(void *connection, char **error,
                                                           const any_function *functions);

int fo_pagesum_init(void *connection, char **error, const any_function *functions)
{
    (void)connection;
    (void)error;
    vfs_find = (sqlite3_vfs * (*)(const char *)) functions[AT_VFS_FIND];
    vfs_register = (int (*)(sqlite3_vfs *, int))functions[AT_VFS_REGISTER];
    return SQLITE_OK_LOAD_PERMANENTLY;
}
