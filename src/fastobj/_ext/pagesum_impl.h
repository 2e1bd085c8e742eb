/* A VFS of SQLite that sums the pages of databases. Nothing here knows of Python, and nothing is
 * linked with SQLite: its structures stand below as its documentation has them, and its functions
 * come through the interface of loadable extensions.
 *
 * It forwards all calls to another VFS. A main database whose header says that 8 bytes of each page
 * are reserved has in them, little-endian: the CRC32C (u32) of the page's number (u32, from 1 on)
 * and of the 4,088 bytes before; 4 bytes of zeros. They are put in when a page is written and
 * compared when one is read; a page of nothing but zeros was never written and is taken for good.
 * Any other database is left alone. The frames of a WAL have sums of SQLite's own. */
#ifndef FO_PAGESUM_IMPL_H
#define FO_PAGESUM_IMPL_H

#include <stdint.h>

enum {
    FO_PAGE_BYTES = 4096,
    FO_PAGE_RESERVED_BYTES = 8,
    FO_PAGE_NAME_BYTES = 64,
};

/* Puts the sum into the reserved bytes of a page. */
void fo_page_stamp(uint8_t page[FO_PAGE_BYTES], uint32_t number);

/* Whether a page is what was written under that number, or was never written. */
int fo_page_verifies(const uint8_t page[FO_PAGE_BYTES], uint32_t number);

/* Registers the VFS `name` over `base` (NULL: the default one). Returns 0, or a negative errno:
 * -ENOSYS before SQLite has loaded this file as an extension, -ENOENT without such a base,
 * -ENAMETOOLONG, -ENOMEM, -EIO where SQLite refuses. */
int fo_pagesum_register(const char *name, const char *base);

#endif
