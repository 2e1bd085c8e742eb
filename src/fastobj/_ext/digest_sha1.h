/* Inner interface of SHA-1 (FIPS 180-4, 6.1). S3 asks for it now and then, one body at a time, so
 * it has no lanes. */
#ifndef FO_DIGEST_SHA1_H
#define FO_DIGEST_SHA1_H

#include "digest_stream.h"

#define FO_SHA1_BYTES 20
#define FO_SHA1_WORDS 5

fo_compress fo_sha1_compress;
fo_compress fo_sha1_compress_sha_ni;

#endif
