/* Random object records as the store writes them, in MessagePack, and keys. */
#ifndef XMLOUT_RECORD_H
#define XMLOUT_RECORD_H

#include "drive.h"
#include "xmlout_impl.h"

enum { RECORD_BYTES_MAX = 4096, KEY_BYTES_MAX = 1024 };

static uint8_t *pack_unsigned(uint8_t *at, uint64_t number)
{
    const int shift = number < 0x80      ? -1
                      : number < 0x100   ? 0
                      : number < 0x10000 ? 1
                      : number >> 32     ? 3
                                         : 2;
    if (shift < 0) {
        *at++ = (uint8_t)number;
        return at;
    }
    *at++ = (uint8_t)(0xCC + shift);
    for (int byte = (1 << shift) - 1; byte >= 0; byte--)
        *at++ = (uint8_t)(number >> (8 * byte));
    return at;
}

/* Text (or bytes) of a length below 0x100, of printable characters. */
static uint8_t *pack_text(uint8_t *at, size_t length, int is_text)
{
    if (is_text && length < 0x20) {
        *at++ = (uint8_t)(0xA0 | length);
    } else {
        *at++ = is_text ? 0xD9 : 0xC4;
        *at++ = (uint8_t)length;
    }
    for (; length; length--)
        *at++ = (uint8_t)('a' + random_below(26));
    return at;
}

static uint8_t *pack_texts(uint8_t *at, size_t pairs, size_t length_max)
{
    *at++ = (uint8_t)(0x80 | pairs);
    for (size_t i = 0; i < 2 * pairs; i++)
        at = pack_text(at, random_below(length_max + 1), 1);
    return at;
}

typedef struct {
    uint8_t at[RECORD_BYTES_MAX];
    size_t length;
    uint64_t size;
    size_t checksums;
} record;

static void make_record(record *made)
{
    const size_t fields = 6 + random_below(7);
    uint8_t *at = made->at;
    *at++ = (uint8_t)(0x90 | fields);
    at = pack_unsigned(at, 1);
    at = pack_text(at, 32, 0);
    at = pack_text(at, 16, 0);
    made->size = random_word() >> random_below(64);
    at = pack_unsigned(at, made->size);
    at = pack_text(at, 32 + random_below(97), 1);
    at = pack_unsigned(at, random_word());
    made->checksums = fields > 8 ? random_below(FO_XMLOUT_CHECKSUMS_MAX + 1) : 0;
    if (fields > 6)
        at = pack_texts(at, random_below(4), 200);
    if (fields > 7)
        at = pack_texts(at, random_below(4), 200);
    if (fields > 8)
        at = pack_texts(at, made->checksums, FO_XMLOUT_ALGORITHM_BYTES_MAX);
    for (size_t field = 9; field < fields; field++)
        at = pack_unsigned(at, random_word());
    made->length = (size_t)(at - made->at);
}

static fo_xmlout_style make_style(void)
{
    static const char NAME[] = "Contents", TAIL[] = "<StorageClass>STANDARD</StorageClass>";
    return (fo_xmlout_style){
        .name = {(const uint8_t *)NAME, sizeof NAME - 1},
        .tail = {(const uint8_t *)TAIL, random_below(2) ? sizeof TAIL - 1 : 0},
        .url = (int)random_below(2),
    };
}

/* One entry into a heap buffer of just the size that it may take; the caller frees it. */
static fo_xmlout_status write_entry(const fo_xmlout_style *style, fo_slice key, fo_slice from,
                                    uint8_t **made, size_t *length)
{
    const size_t room = fo_xmlout_entry_bytes_max(style, key.length);
    *made = allocate(room);
    uint8_t *end = *made;
    const fo_xmlout_status status = fo_xmlout_entry(&end, style, key, from);
    *length = (size_t)(end - *made);
    expect(*length <= room, "room", *length);
    return status;
}

#endif
