/* Random stripes: parity against a bitwise product, every loss that can be borne, updates, and the
 * proof, which must find what cannot be decoded in a matrix that is known for it. */
#include "stripe.h"

#include <dlfcn.h>

/* The other matrix of ISA-L: with 8+5 shards, some subsets of it have no inverse. */
static void check_proof_finds_faults(void)
{
    void *library = dlopen(getenv("FASTOBJ_TEST_ISAL"), RTLD_NOW | RTLD_LOCAL);
    void (*vandermonde)(unsigned char *, int, int) = NULL;
    *(void **)&vandermonde = dlsym(library, "gf_gen_rs_matrix");
    fo_rs_codec codec;
    uint32_t found = 0;
    expect(fo_rs_init(&codec, 8, 5) == FO_RS_OK, "layout", 13);
    expect(fo_rs_prove(&codec, &found) == FO_RS_OK && found == 1287, "Cauchy", found);
    vandermonde(codec.matrix, 13, 8);
    expect(fo_rs_prove(&codec, &found) == FO_RS_SINGULAR, "Vandermonde", found);
    expect(__builtin_popcount(found) == 8, "the subset", found);
    uint8_t *shards[13] = {0};
    const uint32_t lost = 0x1FFF & ~found;
    expect(fo_rs_reconstruct(&codec, 0, shards, found, lost) == FO_RS_SINGULAR, "decoded", found);
    dlclose(library);
}

static void check_update(stripe *of)
{
    const unsigned index = (unsigned)random_below(of->data_count);
    uint8_t *after = allocate(of->length);
    for (size_t at = 0; at < of->length; at++)
        after[at] = (uint8_t)random_word();
    fo_rs_update(&of->codec, index, of->length, of->shards[index], after,
                 of->shards + of->data_count);
    free(of->shards[index]);
    of->shards[index] = after;
    expect_parity(of);
}

static void one_round(void)
{
    stripe made = make_stripe();
    expect_parity(&made);
    check_update(&made);
    const unsigned parity = made.total - made.data_count;
    const uint32_t lost = random_subset(made.total, (unsigned)random_below(parity + 1));
    lose_and_find(&made, lost, random_below(3) ? lost : (uint32_t)random_word());
    free_stripe(&made);
}

int main(int count, char **arguments)
{
    (void)count;
    bind_library();
    check_proof_finds_faults();
    return drive(arguments, one_round);
}
