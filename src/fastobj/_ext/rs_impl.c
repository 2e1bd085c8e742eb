/* Reed-Solomon: see rs_impl.h. The signatures are those of ISA-L's public header erasure_code.h. */
#define _GNU_SOURCE
#include "rs_impl.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static struct {
    void (*cauchy)(unsigned char *matrix, int rows, int columns);
    int (*invert)(unsigned char *destroyed, unsigned char *inverse, int size);
    unsigned char (*multiply)(unsigned char, unsigned char);
    void (*tables)(int columns, int rows, unsigned char *matrix, unsigned char *tables);
    void (*encode)(int length, int columns, int rows, unsigned char *tables,
                   unsigned char **sources, unsigned char **targets);
    void (*update)(int length, int columns, int rows, int column, unsigned char *tables,
                   unsigned char *source, unsigned char **targets);
} isal;

static char version[32], path_found[PATH_MAX];

/* --- binding */

static const struct {
    const char *name;
    void *into; /* POSIX lets a pointer from dlsym be a function's */
} SYMBOLS[] = {
    {"gf_gen_cauchy1_matrix", &isal.cauchy},
    {"gf_invert_matrix", &isal.invert},
    {"gf_mul", &isal.multiply},
    {"ec_init_tables", &isal.tables},
    {"ec_encode_data_update", &isal.update},
    {"ec_encode_data", &isal.encode}, /* last: it tells whether all are there */
};
enum { SYMBOL_COUNT = sizeof SYMBOLS / sizeof SYMBOLS[0] };

static const char IN_2_30[] = "isal_deflate_process_dict";
static const char IN_2_31[] = "crc64_rocksoft_refl";

static int is_bound(void)
{
    return isal.encode != NULL;
}

/* Of the releases that matter only the newest tell their version. */
static void name_version(void *library)
{
    const char *(*told)(void) = NULL;
    *(void **)&told = dlsym(library, "isal_get_version_str");
    const char *found = dlsym(library, IN_2_31) ? "2.31 or later" : "2.30 or later";
    snprintf(version, sizeof version, "%s", told ? told() : found);
}

static void name_path(void *symbol, const char *asked)
{
    Dl_info place;
    const int is_known = dladdr(symbol, &place) && place.dli_fname;
    snprintf(path_found, sizeof path_found, "%s", is_known ? place.dli_fname : asked);
}

fo_rs_status fo_rs_bind(const char *path, char *why, size_t why_size)
{
    if (is_bound())
        return FO_RS_OK;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(why, why_size, "%s", dlerror());
        return FO_RS_NOT_LOADED;
    }
    void *found[SYMBOL_COUNT];
    const char *missing = dlsym(library, IN_2_30) ? NULL : IN_2_30;
    for (size_t symbol = 0; symbol < SYMBOL_COUNT && !missing; symbol++) {
        found[symbol] = dlsym(library, SYMBOLS[symbol].name);
        if (!found[symbol])
            missing = SYMBOLS[symbol].name;
    }
    if (missing) {
        snprintf(why, why_size, "%s has no function %s", path, missing);
        dlclose(library);
        return FO_RS_TOO_OLD;
    }
    name_version(library);
    name_path(found[SYMBOL_COUNT - 1], path);
    for (size_t symbol = 0; symbol < SYMBOL_COUNT; symbol++)
        memcpy(SYMBOLS[symbol].into, &found[symbol], sizeof found[symbol]);
    return FO_RS_OK;
}

const char *fo_rs_version(void)
{
    return version;
}

const char *fo_rs_path(void)
{
    return path_found;
}

/* --- matrices */

static const uint8_t *row_of(const fo_rs_codec *codec, unsigned shard)
{
    return codec->matrix + shard * codec->data_count;
}

fo_rs_status fo_rs_init(fo_rs_codec *codec, unsigned data_count, unsigned parity_count)
{
    if (!is_bound())
        return FO_RS_NOT_BOUND;
    if (!data_count || !parity_count || data_count > FO_RS_SHARDS_MAX ||
        parity_count > FO_RS_SHARDS_MAX - data_count)
        return FO_RS_BAD_LAYOUT;
    codec->data_count = data_count;
    codec->parity_count = parity_count;
    isal.cauchy(codec->matrix, (int)(data_count + parity_count), (int)data_count);
    isal.tables((int)data_count, (int)parity_count, codec->matrix + (size_t)data_count * data_count,
                codec->tables);
    return FO_RS_OK;
}

/* The inverse of the rows of those shards, k of them; 0 where they have none. */
static int invert(const fo_rs_codec *codec, uint32_t shards, uint8_t *inverse)
{
    uint8_t rows[FO_RS_SHARDS_MAX * FO_RS_SHARDS_MAX];
    uint8_t *out = rows;
    for (unsigned shard = 0; shard < codec->data_count + codec->parity_count; shard++) {
        if (!(shards >> shard & 1))
            continue;
        memcpy(out, row_of(codec, shard), codec->data_count);
        out += codec->data_count;
    }
    return isal.invert(rows, inverse, (int)codec->data_count) == 0;
}

/* The next larger number with as many bits set: Warren, "Hacker's Delight", 2-1. */
static uint32_t next_subset(uint32_t subset)
{
    const uint32_t lowest = subset & -subset;
    const uint32_t ripple = subset + lowest;
    return ripple | ((subset ^ ripple) / lowest >> 2);
}

fo_rs_status fo_rs_prove(const fo_rs_codec *codec, uint32_t *count)
{
    uint8_t inverse[FO_RS_SHARDS_MAX * FO_RS_SHARDS_MAX];
    const uint32_t end = UINT32_C(1) << (codec->data_count + codec->parity_count);
    uint32_t proven = 0;
    for (uint32_t subset = (UINT32_C(1) << codec->data_count) - 1; subset < end;
         subset = next_subset(subset)) {
        if (!invert(codec, subset, inverse)) {
            *count = subset;
            return FO_RS_SINGULAR;
        }
        proven++;
    }
    *count = proven;
    return FO_RS_OK;
}

/* --- shards */

/* ISA-L's tables and sources are not const, and not written to. */
void fo_rs_encode(fo_rs_codec *codec, size_t length, uint8_t *const data[], uint8_t *const parity[])
{
    if (length)
        isal.encode((int)length, (int)codec->data_count, (int)codec->parity_count, codec->tables,
                    (uint8_t **)data, (uint8_t **)parity);
}

/* Addition is its own inverse: what was added for `before` is added again, which takes it away. */
void fo_rs_update(fo_rs_codec *codec, unsigned index, size_t length, const uint8_t *before,
                  const uint8_t *after, uint8_t *const parity[])
{
    const uint8_t *both[] = {before, after};
    for (int turn = 0; turn < 2 && length; turn++)
        isal.update((int)length, (int)codec->data_count, (int)codec->parity_count, (int)index,
                    codec->tables, (uint8_t *)both[turn], (uint8_t **)parity);
}

/* The first k shards of those that are there: their bits; 0 where there are fewer. */
static uint32_t choose(const fo_rs_codec *codec, uint32_t present)
{
    uint32_t chosen = 0;
    for (unsigned left = codec->data_count; left; left--) {
        if (!present)
            return 0;
        chosen |= present & -present;
        present &= present - 1;
    }
    return chosen;
}

/* A shard's row in terms of the chosen shards: its own row times the inverse of theirs. */
static void combine(const fo_rs_codec *codec, unsigned shard, const uint8_t *inverse, uint8_t *row)
{
    const unsigned size = codec->data_count;
    const uint8_t *own = row_of(codec, shard);
    for (unsigned column = 0; column < size; column++) {
        uint8_t sum = 0;
        for (unsigned term = 0; term < size; term++)
            sum ^= isal.multiply(own[term], inverse[term * size + column]);
        row[column] = sum;
    }
}

fo_rs_status fo_rs_reconstruct(const fo_rs_codec *codec, size_t length, uint8_t *const shards[],
                               uint32_t present, uint32_t wanted)
{
    const unsigned size = codec->data_count;
    const uint32_t chosen = choose(codec, present);
    if (!chosen)
        return FO_RS_TOO_FEW;
    uint8_t inverse[FO_RS_SHARDS_MAX * FO_RS_SHARDS_MAX];
    if (!invert(codec, chosen, inverse))
        return FO_RS_SINGULAR;
    uint8_t rows[FO_RS_SHARDS_MAX * FO_RS_SHARDS_MAX];
    uint8_t *sources[FO_RS_SHARDS_MAX], *targets[FO_RS_SHARDS_MAX];
    unsigned source_count = 0, target_count = 0;
    for (unsigned shard = 0; shard < size + codec->parity_count; shard++) {
        if (chosen >> shard & 1)
            sources[source_count++] = shards[shard];
        else if (wanted >> shard & 1) {
            combine(codec, shard, inverse, rows + target_count * size);
            targets[target_count++] = shards[shard];
        }
    }
    if (!target_count || !length)
        return FO_RS_OK;
    uint8_t tables[FO_RS_TABLES_BYTES_MAX];
    isal.tables((int)size, (int)target_count, rows, tables);
    isal.encode((int)length, (int)size, (int)target_count, tables, sources, targets);
    return FO_RS_OK;
}
