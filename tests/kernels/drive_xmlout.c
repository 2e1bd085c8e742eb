/* Random records and keys to the xmlout kernel: each is written, and tells its size. */
#define _GNU_SOURCE /* memmem */
#include "xmlout_record.h"

static int holds(const uint8_t *at, size_t length, const char *text)
{
    return memmem(at, length, text, strlen(text)) != NULL;
}

static void check(const record *of, const fo_xmlout_style *style, fo_slice key)
{
    uint8_t *made;
    size_t length;
    char size[40];
    uint8_t *exact = allocate(of->length);
    memcpy(exact, of->at, of->length);
    const fo_slice from = {exact, of->length};
    expect(write_entry(style, key, from, &made, &length) == FO_XMLOUT_OK, "record", of->length);
    snprintf(size, sizeof size, "<Size>%llu</Size>", (unsigned long long)of->size);
    expect(holds(made, length, size), "size", length);
    expect(holds(made, length, "<ChecksumType>") == (of->checksums > 0), "checksums", length);
    expect(!memcmp(made, "<Contents><Key>", 15), "beginning", length);
    expect(!memcmp(made + length - 11, "</Contents>", 11), "end", length);
    free(made);
    free(exact);
}

static void one_round(void)
{
    static record of;
    make_record(&of);
    const size_t length = random_below(random_below(8) ? 40 : KEY_BYTES_MAX + 1);
    uint8_t *key = allocate(length);
    for (size_t i = 0; i < length; i++)
        key[i] = random_below(4) ? (uint8_t)('a' + random_below(26)) : (uint8_t)random_word();
    const fo_xmlout_style style = make_style();
    check(&of, &style, (fo_slice){key, length});
    free(key);
}

int main(int count, char **arguments)
{
    (void)count;
    fo_xmlout_init();
    return drive(arguments, one_round);
}
