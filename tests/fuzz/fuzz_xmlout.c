/* Damaged records to the xmlout kernel: each is written within its room, or refused and nothing
 * is written; what is written has no control character and no markup from the key. */
#include "fuzz.h"
#include "xmlout_record.h"

static void check_text(const uint8_t *at, size_t length)
{
    for (size_t i = 0; i < length && at[i] != '<'; i++)
        expect(at[i] >= 0x20 && at[i] != 0x7F && at[i] != '>' && at[i] != '"', "text", i);
}

static void one_round(void)
{
    static record of;
    make_record(&of);
    bytes from = copy(of.at, of.length);
    if (random_below(8))
        damage(&from, NULL, 0);
    const bytes key = random_bytes(random_below(random_below(8) ? 64 : KEY_BYTES_MAX + 1));
    const fo_xmlout_style style = make_style();
    uint8_t *made;
    size_t length;
    const fo_slice record_slice = {from.at, from.length}, key_slice = {key.at, key.length};
    if (write_entry(&style, key_slice, record_slice, &made, &length) == FO_XMLOUT_OK)
        check_text(made + 15, length - 15);
    else
        expect(length == 0, "refused, but written", length);
    free(made);
    free(key.at);
    free(from.at);
}

int main(int count, char **arguments)
{
    (void)count;
    fo_xmlout_init();
    return fuzz(arguments, one_round);
}
