/* Damaged heads to the httphead kernel: what it takes is whole, and lies in what it was given. */
#include "fuzz.h"
#include "httphead_text.h"

static const char *const words[] = {"\r\n\r\n",
                                    "\r\n",
                                    "\n",
                                    "\r",
                                    "\r\n ",
                                    ":",
                                    "\0",
                                    "\x7f",
                                    "HTTP/1.0",
                                    "#",
                                    "?",
                                    "Host: a\r\n",
                                    "Content-Length: 5\r\n",
                                    "Transfer-Encoding: chunked\r\n"};

static void one_round(void)
{
    static head_text of;
    static fo_head head;
    make_head(&of);
    bytes from = copy(of.at, of.length);
    if (random_below(8))
        damage(&from, words, sizeof words / sizeof words[0]);
    const fo_slice slice = {from.at, from.length};
    if (fo_head_read(slice, &head) == FO_HEAD_OK)
        check_taken(slice, &head);
    free(from.at);
}

int main(int count, char **arguments)
{
    (void)count;
    return fuzz(arguments, one_round);
}
