/* Layouts of any numbers, and stripes that lose any shards: too many are refused, and nothing but
 * what is wanted is written. */
#include "fuzz.h"
#include "stripe.h"

static void check_layout(void)
{
    fo_rs_codec codec;
    const unsigned data_count = (unsigned)BOUNDARIES[random_below(BOUNDARY_COUNT)] +
                                (unsigned)random_below(FO_RS_SHARDS_MAX + 2);
    const unsigned parity_count = (unsigned)BOUNDARIES[random_below(BOUNDARY_COUNT)] +
                                  (unsigned)random_below(FO_RS_SHARDS_MAX + 2);
    const int fits =
        data_count && parity_count && (uint64_t)data_count + parity_count <= FO_RS_SHARDS_MAX;
    const fo_rs_status status = fo_rs_init(&codec, data_count, parity_count);
    expect(status == (fits ? FO_RS_OK : FO_RS_BAD_LAYOUT), "layout", data_count);
}

static void one_round(void)
{
    check_layout();
    stripe made = make_stripe();
    for (size_t times = 1 + random_below(3); times; times--) {
        const uint32_t lost = random_subset(made.total, (unsigned)random_below(made.total + 1));
        lose_and_find(&made, lost, (uint32_t)random_word());
    }
    free_stripe(&made);
}

int main(int count, char **arguments)
{
    (void)count;
    bind_library();
    return fuzz(arguments, one_round);
}
